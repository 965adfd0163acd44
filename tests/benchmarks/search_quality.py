"""Epochs until the complete trials reach 95 % of a table's hypervolume: our default, stock samplers, Syne Tune.

    python -m tests.benchmarks.search_quality [--json FILE] [--quick] [--tables FILE ...]

All replay the same recorded learning curves on a virtual clock with 1, 4 and 64 workers; medians over 20 seeds. Without
--tables they are those of all 243 configurations of `four_layers.toml`, trained for nine epochs on the embedded images:
what is judged is the mean of seeds 1 and 2, on which nothing was chosen. The figures of seed 1 alone and of seed 0, on
which choices were made, end in `_seed1` and `_seed0`. A ratio is the median over the numbers of workers. Who knows the
table shows how few epochs would do: when its first trial is complete, all other workers have trained for as long.
Last, the front that a study as long as the main job recommends on one seed, at its true means: those of the other two.
"""

import argparse
import json
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import moocore
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.samplers import RandomSampler, TPESampler

from results.analysis.fronts import volume
from study.execution.worker import Report
from study.planning.spec import Spec
from study.simulation.replay import Driver, Engine, replay
from study.simulation.table import Table
from study.store.options import DEFAULT_TRIALS
from tests.benchmarks import tables
from tests.benchmarks.peers import Clairvoyant, OptunaFifo, mo_rea, moasha

JUDGED = {"": (1, 2), "_seed1": (1,), "_seed0": (0,)}
"""The seeds whose mean is replayed, by the ending of their figures."""
SHARES = (0.9, 0.95)
"""Of the hypervolume of the whole table; ratios are of the last."""
OURS, TPE, RANDOM = "ours", "tpe + fifo", "random + fifo"
PEERS = ("syne tune moasha", "syne tune mo-rea")
RATIOS = {"compute_ratio_over_tpe_fifo": (TPE,), "compute_ratio_over_best_syne_tune": PEERS}
Spent = dict[str, NDArray[np.float64]]
"""Epochs by driver, (numbers of workers, seeds, `SHARES`); infinite for a study that ended below the share."""
WORKERS = (1, 4, 64)


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.search_quality", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="3 seeds, 1 and 4 workers")
    parser.add_argument("--tables", type=Path, nargs="+", metavar="FILE", help="replay the mean of these")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    seeds, workers = (3, WORKERS[:2]) if arguments.quick else (20, WORKERS)
    figures: dict[str, Any] = {"sampler": Spec.sampler, "workers": workers, "shares": SHARES}
    judged = {ending: [tables.RECORDED[seed] for seed in mean] for ending, mean in JUDGED.items()}
    for ending, paths in ({"": arguments.tables} if arguments.tables else judged).items():
        print(*paths)
        found = measured(tables.read(paths), seeds, workers)
        figures |= {name + ending: figure for name, figure in found.items()}
    fronts = recommended(seeds)
    figures["front_at_true_means"], error = fronts.mean(), fronts.std(ddof=1) / len(fronts) ** 0.5
    print(
        f"front of {DEFAULT_TRIALS} trials at its true means: {fronts.mean():.3f} +- {error:.3f} of the table's"
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measured(table: Table, seeds: int, workers: Sequence[int]) -> dict[str, Any]:
    """Print and return the median epochs of each driver, and our ratios with their 90 % intervals."""
    spent: Spent = {name: np.empty((len(workers), seeds, len(SHARES))) for name in DRIVERS}
    for row, count in enumerate(workers):
        for name, driver in DRIVERS.items():
            spent[name][row] = [epochs(table, driver, seed, count) for seed in range(seeds)]
            told = zip(SHARES, np.median(spent[name][row], axis=0), strict=True)
            print(
                f"{name:19} {count:5} workers",
                *(f"{share:.0%} {n:8.1f} epochs" for share, n in told),
                flush=True,
            )
    figures: dict[str, Any] = {
        "epochs": {name: np.median(each, axis=1).tolist() for name, each in spent.items()}
    }
    for name, peers in RATIOS.items():
        figures[name] = ratio(spent, peers)
        figures[f"{name}_interval"] = low, high = interval(spent, peers)
        print(f"{name} {figures[name]:.3f} ({low:.3f} to {high:.3f})")
    return figures


class Watched(Engine):
    """Ours, and the rows of the table that it trained to the end."""

    def __init__(self, table: Table, seed: int) -> None:
        given = {"sampler": Spec.sampler, "scheduler": Spec.scheduler, "trials": DEFAULT_TRIALS, "seed": seed}
        super().__init__(table, table.launched(**given))
        self.rows: dict[str, int] = {}
        self.complete: list[int] = []

    def start(self) -> tuple[str, int, int] | None:
        """Remember the row."""
        if started := super().start():
            self.rows[started[0]] = started[1]
        return started

    def report(self, trial: str, report: Report) -> bool:
        """Remember an end."""
        if report.last:
            self.complete.append(self.rows[trial])
        return super().report(trial, report)


def recommended(seeds: int) -> NDArray[np.float64]:
    """Return each study's front at the mean of the other recorded seeds: its share of the table's hypervolume."""
    each, found = tables.aligned(list(tables.RECORDED.values())), []
    for table in each:
        true = np.mean([other.gains for other in each if other is not table], axis=0)
        for seed in range(seeds):
            engine = Watched(table, seed)
            replay(table, engine, workers=2)
            rows = np.array(engine.complete)
            front = rows[moocore.is_nondominated(table.gains[rows], maximise=True)]
            found.append(volume(1 - true[front]) / volume(1 - true))
    return np.array(found)


def ratio(spent: Spent, peers: Sequence[str]) -> float:
    """Return our epochs as a share of the best peer's: medians over seeds, then over numbers of workers."""
    medians = {name: np.median(spent[name][..., -1], axis=1) for name in (OURS, *peers)}
    return float(np.median(medians[OURS] / np.min([medians[peer] for peer in peers], axis=0)))


def interval(spent: Spent, peers: Sequence[str]) -> tuple[float, float]:
    """Return the 5th and 95th percentile of the ratio over bootstrap samples of each driver's seeds."""
    random = np.random.default_rng(0)
    drawn = [
        ratio({name: random.choice(each, each.shape[1], axis=1) for name, each in spent.items()}, peers)
        for _ in range(1000)
    ]
    low, high = np.percentile(drawn, [5, 95], method="nearest")  # of infinite ones there is no mean
    return float(low), float(high)


def epochs(table: Table, driver: Callable[[Table, int], Driver], seed: int, workers: int) -> list[float]:
    """Return the epochs that a study spends until it reaches each of `SHARES`."""
    trace = replay(table, driver(table, seed), workers, enough=SHARES[-1])
    return [trace.epochs_to(share) for share in SHARES]


def ours(table: Table, seed: int) -> Engine:
    """Replay our defaults."""
    given = {"sampler": Spec.sampler, "scheduler": Spec.scheduler, "trials": len(table.points)}
    return Engine(table, table.launched(**given, seed=seed))


DRIVERS: dict[str, Callable[[Table, int], Driver]] = {
    OURS: ours,
    TPE: lambda table, seed: OptunaFifo(table, TPESampler(seed=seed), len(table.points)),
    RANDOM: lambda table, seed: OptunaFifo(table, RandomSampler(seed=seed), len(table.points)),
    PEERS[0]: lambda table, seed: moasha(table, seed, len(table.points)),
    PEERS[1]: lambda table, seed: mo_rea(table, seed, len(table.points)),
    "who knows the table": lambda table, seed: Clairvoyant(table),
}


if __name__ == "__main__":
    main()
