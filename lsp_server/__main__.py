"""`python -P -m quicksilver.lsp_server …` is the `quicksilver` command, for places without its script."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
