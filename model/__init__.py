"""The denoiser, its tokenizer, the context cache and the one denoise loop. Knows no editor and no socket."""
