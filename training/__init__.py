"""Makes models: corpus, samples, the trainer, rankers. `cli.main` is `quicksilver train`."""
