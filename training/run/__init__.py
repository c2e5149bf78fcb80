"""A training run: plan, loss, optimizers, the loop, its state and its reports."""
