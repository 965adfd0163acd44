"""Replay a recorded study with other workers: python -m study.simulate --table TABLE --workers 1,4,64

The searcher and the scheduler are the real ones, on a virtual clock. `--record NAME --table TABLE` makes the table of
a finished study over a whole grid.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from results.analysis.command_line import show
from study.planning.spec import Spec
from study.simulation.replay import Engine, Replay, replay
from study.simulation.table import Table, table_of
from study.store.options import SAMPLERS, SCHEDULERS
from study_common.commands import StudyParser, exit_code
from study_common.errors import UserError, check_known
from study_common.layout import find_study

SHARE = 0.95
"""Of the hypervolume of the whole table, that of its last epochs."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    parser = StudyParser("study.simulate", __doc__.splitlines()[0])
    add = parser.add_argument
    add(
        "--table",
        required=True,
        type=Path,
        metavar="FILE",
        help="the recorded learning curves, a parquet file",
    )
    add("--record", metavar="NAME", help="write that file from this finished study")
    add("--workers", default="1,4,64", metavar="N,...", help="trials at a time (default: %(default)s)")
    add("--trials", type=int, metavar="N", help="configurations to try (default: all of the table)")
    add("--sampler", default=Spec.sampler, metavar="|".join(SAMPLERS), help="(default: %(default)s)")
    add("--scheduler", default=Spec.scheduler, metavar="|".join(SCHEDULERS), help="(default: %(default)s)")
    add(
        "--seeds",
        type=int,
        default=5,
        metavar="S",
        help="replays of each, their medians shown (default: %(default)s)",
    )
    arguments = parser.parse_args(argv)
    check_known("sampler", [arguments.sampler], SAMPLERS)
    check_known("scheduler", [arguments.scheduler], SCHEDULERS)
    workers = _counts(arguments.workers)
    for name, value in (("--trials", arguments.trials), ("--seeds", arguments.seeds)):
        if value is not None and value < 1:
            raise UserError(f"{name} is {value}; it must be above 0")
    if arguments.record:
        table_of(find_study(arguments.record, arguments.runs_dir)).write(arguments.table)
    table = Table.read(arguments.table)
    trials = arguments.trials or len(table.points)
    given = {"sampler": arguments.sampler, "scheduler": arguments.scheduler, "trials": trials}
    requests = [table.launched(**given, seed=seed) for seed in range(arguments.seeds)]
    runs = {
        count: [replay(table, Engine(table, request), count) for request in requests] for count in workers
    }
    _print(runs)
    return 0


def _counts(text: str) -> list[int]:
    try:
        counts = [int(word) for word in text.split(",")]
    except ValueError:
        counts = [0]
    if min(counts) < 1:
        raise UserError(f"--workers is {text!r}; write numbers above 0 such as 1,4,64")
    return counts


def _print(runs: dict[int, list[Replay]]) -> None:
    share = f"{SHARE:.0%} of the hypervolume"
    rows = [
        {
            "workers": count,
            f"minutes to {share}": np.median([r.seconds_to(SHARE) for r in replays]) / 60,
            f"epochs to {share}": np.median([r.epochs_to(SHARE) for r in replays]),
            "minutes to the end": np.median([r.seconds[-1] for r in replays]) / 60,
            "epochs": np.median([r.epochs[-1] for r in replays]),
            "hypervolume": np.median([r.hypervolume[-1] for r in replays]),
        }
        for count, replays in runs.items()
    ]
    show(pd.DataFrame(rows))


if __name__ == "__main__":
    raise SystemExit(main())
