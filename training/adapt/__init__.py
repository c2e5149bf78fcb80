"""Adapts a published body: LoRA, denoising head, n-grams. `lora_step.run`, `head_step.run`, `ngram_step.run`."""
