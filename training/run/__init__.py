"""A training run: plan, loss, optimizers, the loop, its state and what it says of itself."""
