"""The results of a run: a mean of checkpoints, and the model card."""
