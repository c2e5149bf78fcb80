"""`python -P -m quicksilver.cli …` is the `quicksilver` command, for places without its script."""

import sys

from .main import main

if __name__ == "__main__":
    sys.exit(main())
