"""The results of a run: `average.average_checkpoints` and `model_card.model_card`."""
