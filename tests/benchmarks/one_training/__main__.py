"""One training of all widths against trainings of each: `python -m tests.benchmarks.one_training`.

    python -m tests.benchmarks.one_training [--json FILE] [--quick --seed S]

Reads `rows.csv` (`record.py`) and says what a front costs in epochs, and how well the width table ranks configurations.
An epoch of the shared model counts three; the table counts by its CPU time. --quick also repeats six trainings and
the shared model with another seed, and ends with exit code 1 if they disagree with the recording by more than `LIMIT`
of its standard deviations. A figure is null if its rows are not recorded yet, or if a front never has
enough: more than half of the searches end below.
"""

import argparse
import json
import tempfile
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from tests.benchmarks.one_training import judgement, problem, record, rows
from tests.benchmarks.one_training.judgement import Array, Curves, Point
from tests.benchmarks.one_training.peers import EARLY, OURS, PEERS, SLOW, Trainings
from tests.benchmarks.reliability.judgement import consistency

SEARCHES = 10
"""Seeds of each peer, on the recording of each seed of the grid; of a slow one a single seed."""
REPEATED = 6
"""Configurations that --quick measures again."""
LIMIT = 4.0


def main() -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.one_training")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--quick", action="store_true", help="repeat a sample of the recording with another seed"
    )
    parser.add_argument("--seed", type=int, default=11, help="the seed of the sample")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    frame = rows.read()
    figures = measured(frame, 3 if arguments.quick else SEARCHES)
    for name, value in figures.items():
        print(f"{name}: {value:.3g}" if isinstance(value, float) else f"{name}: {value}")
    worst = repeated(frame, arguments.seed) if arguments.quick else 0.0
    if arguments.json:
        arguments.json.write_text(json.dumps(figures | {"worst_deviation": worst}, indent=2))
    return int(worst > LIMIT)


def measured(frame: pd.DataFrame, searches: int) -> dict[str, Any]:
    """Return every figure."""
    points = judgement.recorded(frame)
    grid, tables = (judgement.cube(frame, kind, points) for kind in ("grid", "table"))
    figures: dict[str, Any] = {"configurations": len(points), "seeds": len(problem.JUDGED)}
    names = list(problem.goals())
    for name in problem.MEASURED:
        column = names.index(name)
        figures[f"icc_table_{name}"] = consistency(grid[..., column])
        figures[f"icc_shared_{name}"] = consistency(tables[..., column])
        figures[f"tau_ceiling_{name}"] = judgement.ceiling(grid[..., column])
        figures[f"tau_additive_{name}"] = judgement.additive_tau(grid[..., column], points)
        figures[f"tau_{name}"] = judgement.table_tau(tables[..., column], grid[..., column])
    figures |= dict.fromkeys(COMPARED)
    if len(points) == len(problem.POINTS):
        tuned = judgement.cube(frame, "tuned", points)
        for name in problem.MEASURED:
            column = names.index(name)
            figures[f"icc_tuned_{name}"] = consistency(tuned[..., column])
            figures[f"tau_ceiling_tuned_{name}"] = judgement.ceiling(tuned[..., column])
            figures[f"tau_tuned_{name}"] = judgement.table_tau(tables[..., column], tuned[..., column])
        figures |= compared(frame, tables, grid, points, searches)
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in figures.items()
    }


COMPARED = ("epochs_over_grid", "epochs_over_optuna", "epochs_over_best_peer", "hypervolume_share")
"""The figures that take the whole grid; null until it is recorded."""


def compared(
    frame: pd.DataFrame, tables: Array, grid: Array, points: list[Point], searches: int
) -> dict[str, Any]:
    """Return what a front costs, here and with the peers."""
    figures = ours(frame, tables, grid, points)
    curves = judgement.curves(rows.read(rows.CURVES), grid, points)
    figures["seeds_with_curves"] = sum(len(at) > 1 for at in curves)
    for name in PEERS:
        figures[f"epochs of {name}"], figures[f"share of {name}"] = peer(name, curves, points, searches)
    whole = problem.EPOCHS * len(problem.POINTS)
    spent, most = figures["epochs"], whole / 2  # where a peer stops; one that has not enough then needs more
    peers = [figures[f"epochs of {name}"] for name in PEERS if name != OURS]
    figures["epochs_over_grid"] = spent / whole
    figures["epochs_over_optuna"] = spent / min(figures["epochs of optuna default"], most)
    figures["epochs_over_best_peer"] = spent / np.nanmin([*peers, most])
    return figures


def ours(frame: pd.DataFrame, tables: Array, grid: Array, points: list[Point]) -> dict[str, Any]:
    """Return the epochs until the recommended front has enough, and its share, as medians over the shared seeds."""
    tried = judgement.candidates(frame)
    tuned, whole, told = judgement.cube(frame, "tuned", tried), grid.mean(0), []
    for index in range(len(problem.JUDGED)):
        order = [tried.index(points[row]) for row in judgement.chosen(tables[index], points)]
        told.append(judgement.trials_to_enough(order, tuned[index], judgement.others(tuned, index), whole))
    trials, shares = np.median(np.array(told), axis=0)
    table_epochs = len(problem.POINTS) * cpu(frame, "table") / epoch_cpu(frame)
    before = problem.PASSES * problem.EPOCHS + table_epochs
    return {
        "table_epochs": float(table_epochs), "trials": float(trials), "hypervolume_share": float(shares),
        "epochs": float(before + problem.TUNED * trials), "each": told,
    }  # fmt: skip


def cpu(frame: pd.DataFrame, kind: str) -> float:
    """Return the median seconds of CPU of a row of a kind."""
    return float(frame.loc[frame["kind"] == kind, "cpu_s"].median())


def epoch_cpu(frame: pd.DataFrame) -> float:
    """Return the seconds of CPU of an epoch of a training, its single measurement left out."""
    return (cpu(frame, "grid") - cpu(frame, "table")) / problem.EPOCHS


def peer(name: str, curves: list[Curves], points: list[Point], searches: int) -> tuple[float, float]:
    """Return the median epochs until a search's recommended front has enough, and its share at its end.

    NaN if the peer stops trainings early and no seed has its curves.
    """
    told = []
    grid = np.array([at[problem.EPOCHS] for at in curves])
    for index, seed in product(range(len(curves)), range(1 if name in SLOW else searches)):
        if name in EARLY and len(curves[index]) == 1:
            continue
        true, trainings = judgement.others(grid, index), Trainings(curves[index], points)
        PEERS[name](seed, trainings)
        ended, spent = zip(*trainings.ended, strict=True)
        count, share = judgement.trials_to_enough(ended, grid[index], true, true)
        told.append((spent[int(count) - 1] if np.isfinite(count) else count, share))
    if not told:
        return float("nan"), float("nan")
    epochs, shares = np.median(np.array(told), axis=0)
    return float(epochs), float(shares)


def repeated(frame: pd.DataFrame, seed: int) -> float:
    """Return the largest deviation of a repeated sample from the recorded mean, in standard deviations of one row."""
    worst = 0.0
    sample = judgement.recorded(frame)[:REPEATED]
    with tempfile.TemporaryDirectory() as work:
        for kind, name in product(("grid", "table"), problem.MEASURED):
            of = frame[(frame["kind"] == kind) & frame["seed"].isin(problem.JUDGED)]
            values = of.pivot_table(index="point", columns="seed", values=name).dropna()
            spread = float(np.sqrt(values.var(axis=1, ddof=1).mean() * (1 + 1 / values.shape[1])))
            for point in sample:
                found = measured_again(kind, point, seed, Path(work))[name]
                deviation = abs(found - float(values.loc[[point]].mean(axis=1).iloc[0])) / spread
                print(f"{kind} {point} {name}: {found:.3f}, {deviation:.1f} standard deviations off")
                worst = max(worst, deviation)
    return worst


@cache
def measured_again(kind: str, point: Point, seed: int, work: Path) -> dict[str, float]:
    """Measure a configuration once."""
    return record.measure(kind, point, seed, work)


if __name__ == "__main__":
    raise SystemExit(main())
