"""What comes of a run: a mean of checkpoints, and the model card."""
