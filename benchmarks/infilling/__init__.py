"""Infilling tasks: reads them, has them answered, and runs their tests. `step.main` is `quicksilver eval infill`."""
