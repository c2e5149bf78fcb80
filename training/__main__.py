"""`python -P -m quicksilver.training …`: the same as `quicksilver train …`, for machines without an installation."""

import sys

from ..fim.errors import CheckpointError, InputError, QuicksilverError
from ..fim.text.printable import one_line
from .cli import main

if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
    except QuicksilverError as error:
        print(f"quicksilver: {one_line(str(error))}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError | CheckpointError) else 1)
