"""The table that `study.simulate` prints: medians of replays, one row per number of workers."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from results.analysis.terminal import print_table
from study.simulation.replay import Engine, Replay, replay
from study.simulation.table import Table

TARGET = 0.95
"""The share of the whole table's hypervolume, after its last epochs, that a replay is timed to."""


def show_replays(
    table: Table, workers: Sequence[int], *, sampler: str, scheduler: str, trials: int | None, seeds: int
) -> None:
    """Replay studies on `table` with seeds 0 to `seeds` - 1 for each number of `workers`, and print medians.

    Args:
        table: The recorded learning curves.
        workers: Numbers of trials at a time.
        sampler: A name of --sampler.
        scheduler: A name of --scheduler.
        trials: Configurations to try; None tries as many as the table has.
        seeds: Replays per number of workers.
    """
    given = {"sampler": sampler, "scheduler": scheduler, "trials": trials or len(table.points)}
    requests = [table.launched(**given, seed=seed) for seed in range(seeds)]
    rows = [
        _row(count, [replay(table, Engine(table, request), count) for request in requests])
        for count in workers
    ]
    print_table(pd.DataFrame(rows))


def _row(workers: int, replays: Sequence[Replay]) -> dict[str, float]:
    target = f"{TARGET:.0%} of the hypervolume"
    return {
        "workers": workers,
        f"minutes to {target}": np.median([r.seconds_to(TARGET) for r in replays]) / 60,
        f"epochs to {target}": np.median([r.epochs_to(TARGET) for r in replays]),
        "minutes to the end": np.median([r.seconds[-1] for r in replays]) / 60,
        "epochs": np.median([r.epochs[-1] for r in replays]),
        "hypervolume": np.median([r.hypervolume[-1] for r in replays]),
    }
