"""How far one training of a configuration tells of another, and its first epochs of its last.

    python -m tests.benchmarks.table_noise [--mean FILE]

From the two tables that `search_quality` replays: the same 243 configurations trained with seed 0 and with seed 1. Each
is taken as the truth about which the other knows everything: what share of its hypervolume has the other's front? And
what has a random choice of as many? --mean writes the table of the mean of both, for `search_quality --table`.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from results.fronts import volume
from study.table import Table
from study.worker import Report
from tests.benchmarks.search_quality import TABLES

METRICS = ("accuracy", "faithfulness")
DRAWS = 1000


def main() -> None:
    """Print the correlations and the shares."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.table_noise", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--mean", type=Path, metavar="FILE", help="write the mean of both tables here")
    arguments = parser.parse_args()
    one, zero = (Table.read(path) for path in TABLES.values())
    order = [one.row(one.request.flat(point)) for point in zero.points]
    one = Table(one.request, zero.points, [one.curves[row] for row in order])
    last = one.request.epochs
    for name in METRICS:
        print(
            f"{name}: seed 0 and seed 1 r = {pearsonr(*(after(t, last, name) for t in (zero, one)))[0]:.2f}"
        )
        for epoch in one.request.rungs[:-1]:
            found = (spearmanr(after(t, epoch, name), after(t, last, name))[0] for t in (zero, one))
            print(f"  after epoch {epoch} and {last}: rho = {' and '.join(f'{rho:.2f}' for rho in found)}")
    for known, truth, names in ((zero, one, "0, seed 1"), (one, zero, "1, seed 0")):
        front = np.flatnonzero(moocore.is_nondominated(known.gains, maximise=True))
        random = np.random.default_rng(0)
        drawn = [
            share(truth, random.choice(len(truth.gains), len(front), replace=False)) for _ in range(DRAWS)
        ]
        print(
            f"front of seed {names}: {len(front)} trials have {share(truth, front):.3f} of the hypervolume; "
            f"as many at random {np.median(drawn):.3f}"
        )
    if arguments.mean:
        curves = [list(map(mean, *pair)) for pair in zip(zero.curves, one.curves, strict=True)]
        Table(zero.request, zero.points, curves).write(arguments.mean)


def after(table: Table, epoch: int, name: str) -> NDArray[np.float64]:
    """Return a metric of every configuration after an epoch."""
    return np.array([curve[epoch - 1].metrics[name] for curve in table.curves])


def share(table: Table, rows: Sequence[int] | NDArray[np.intp]) -> float:
    """Return the share of the table's hypervolume that these configurations have."""
    return volume(1 - table.gains[rows]) / volume(1 - table.gains)


def mean(a: Report, b: Report) -> Report:
    """Return the mean of two reports of the same epoch."""
    both = {name: (a.metrics[name] + b.metrics[name]) / 2 for name in a.metrics if name in b.metrics}
    return replace(a, seconds=(a.seconds + b.seconds) / 2, metrics=both)


if __name__ == "__main__":
    main()
