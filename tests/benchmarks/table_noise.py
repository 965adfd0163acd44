"""How far one training of a configuration tells of another, and its first epochs of its last.

    python -m tests.benchmarks.table_noise

From the recorded tables: the same 243 configurations trained with several seeds. Each in turn is taken as the truth
about which another knows everything: what share of its hypervolume has the other's front? And what has a random choice
of as many?
"""

from collections.abc import Sequence
from itertools import combinations, permutations

import moocore
import numpy as np
from numpy.typing import NDArray
from scipy.stats import pearsonr, spearmanr

from results.analysis.fronts import volume
from study.simulation.table import Table
from tests.benchmarks import tables

METRICS = ("accuracy", "faithfulness")
DRAWS = 1000


def main() -> None:
    """Print the correlations and the shares."""
    by_seed = dict(zip(tables.RECORDED, tables.aligned(list(tables.RECORDED.values())), strict=True))
    last, rungs = by_seed[0].request.epochs, by_seed[0].request.rungs[:-1]
    for name in METRICS:
        for a, b in combinations(by_seed, 2):
            r = pearsonr(after(by_seed[a], last, name), after(by_seed[b], last, name))[0]
            print(f"{name}: seed {a} and seed {b} r = {r:.2f}")
        for epoch in rungs:
            found = (spearmanr(after(t, epoch, name), after(t, last, name))[0] for t in by_seed.values())
            print(f"  after epoch {epoch} and {last}: rho = {', '.join(f'{rho:.2f}' for rho in found)}")
    for known, truth in permutations(by_seed, 2):
        front = np.flatnonzero(moocore.is_nondominated(by_seed[known].gains, maximise=True))
        random = np.random.default_rng(0)
        table = by_seed[truth]
        drawn = [
            share(table, random.choice(len(table.gains), len(front), replace=False)) for _ in range(DRAWS)
        ]
        print(
            f"front of seed {known}: {len(front)} trials have {share(table, front):.3f} of the hypervolume of "
            f"seed {truth}; as many at random {np.median(drawn):.3f}"
        )


def after(table: Table, epoch: int, name: str) -> NDArray[np.float64]:
    """Return a metric of every configuration after an epoch."""
    return np.array([curve[epoch - 1].metrics[name] for curve in table.curves])


def share(table: Table, rows: Sequence[int] | NDArray[np.intp]) -> float:
    """Return the share of the table's hypervolume that these configurations have."""
    return volume(1 - table.gains[rows]) / volume(1 - table.gains)


if __name__ == "__main__":
    main()
