"""Converts GGUF files to checkpoint folders of ours: `convert.import_gguf`, `cache.checkpoint_folder`."""
