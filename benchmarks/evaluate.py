"""`quicksilver eval`: which evaluation to run. Each reads its own command line and is imported when it is named."""

from collections.abc import Sequence

from ..fim.terminal.arguments import Parser


def main(argv: Sequence[str]) -> int:
    """Run an evaluation. Returns the exit code; raises InputError, CheckpointError, QuicksilverError."""
    parser = Parser(prog="quicksilver eval", description="Measure a checkpoint.")
    evaluations = parser.add_subparsers(title="evaluations", metavar="EVALUATION", dest="what", required=True)
    evaluations.add_parser("heldout", help="holes cut from packages that training never saw", add_help=False)
    evaluations.add_parser("infill", help="the tasks of infilling benchmarks, by running their tests", add_help=False)
    evaluations.add_parser("cursors", help="small files with a cursor, through the real server", add_help=False)
    what = parser.parse_known_args(argv[:1])[0].what
    if what == "infill":
        from .infilling.step import main as infill

        return infill(list(argv[1:]))
    if what == "cursors":
        from .quality.cursors import main as cursors

        return cursors(list(argv[1:]))
    from .quality.heldout import main as heldout

    return heldout(list(argv[1:]))
