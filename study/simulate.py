"""Replay a recorded study with other workers: python -m study.simulate --table TABLE --workers 1,4,64

The searcher and the scheduler are the real ones, on a virtual clock. `--record NAME --table TABLE` makes the table of
a finished study over a whole grid.
"""

from collections.abc import Sequence
from pathlib import Path

from study.store.options import SAMPLERS, SCHEDULERS
from study_common.commands import StudyParser, exit_code, needs
from study_common.errors import UserError, check_known
from study_common.layout import find_study


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    arguments = _parser().parse_args(argv)
    check_known("sampler", [arguments.sampler], SAMPLERS)
    check_known("scheduler", [arguments.scheduler], SCHEDULERS)
    workers = _counts(arguments.workers)
    for name, value in (("--trials", arguments.trials), ("--seeds", arguments.seeds)):
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; it must be above 0")
    needs("ray")
    from study.simulation.summary import show_replays
    from study.simulation.table import Table, table_of

    if arguments.record:
        table_of(find_study(arguments.record, arguments.runs_dir)).write(arguments.table)
    show_replays(
        Table.read(arguments.table),
        workers,
        sampler=arguments.sampler,
        scheduler=arguments.scheduler,
        trials=arguments.trials,
        seeds=arguments.seeds,
    )
    return 0


def _parser() -> StudyParser:
    parser = StudyParser("study.simulate", __doc__.splitlines()[0])
    add, default = parser.add_argument, "(default: %(default)s)"
    add("--table", required=True, type=Path, metavar="FILE", help="recorded learning curves, a parquet file")
    add("--record", metavar="NAME", help="write that file from this finished study")
    add("--workers", default="1,4,64", metavar="N,...", help=f"trials at a time {default}")
    add("--trials", type=int, metavar="N", help="configurations to try (default: all of the table)")
    add("--sampler", default=SAMPLERS[0], metavar="|".join(SAMPLERS), help=default)
    add("--scheduler", default=SCHEDULERS[0], metavar="|".join(SCHEDULERS), help=default)
    add("--seeds", type=int, default=5, metavar="S", help=f"replays of each, their medians shown {default}")
    return parser


def _counts(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise UserError(f"--workers is {text!r}; write numbers above 0 such as 1,4,64")
    return counts


if __name__ == "__main__":
    raise SystemExit(main())
