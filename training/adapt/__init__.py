"""Adapts a published model: LoRA, denoising head, n-grams."""
