"""A published model adapted: LoRA, denoising head, n-grams."""
