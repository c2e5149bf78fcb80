"""GGUF files of published models, made into checkpoint folders of ours."""
