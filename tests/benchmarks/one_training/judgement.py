"""What the recordings say: reliability, rank correlations, and hypervolumes of recommended fronts at their true means.

A front is recommended by what a search has seen, one draw per configuration, and judged by what others measured: the
mean of the seeds that the search did not see. So a lucky draw earns nothing.
"""

from collections.abc import Sequence
from itertools import product

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import kendalltau

from results.analysis.estimates import by_loss
from results.analysis.fronts import volume
from study.search.estimated import promising
from study_common import objectives
from tests.benchmarks.one_training import problem, rows

Array = NDArray[np.float64]
TRIED = 12
"""Trials that are fine-tuned at most, by the order of the width table."""
ENOUGH = 0.98
"""The share of the full grid's hypervolume that is asked for."""
Point = tuple[int, ...]
Curves = dict[int, Array]
"""By epoch: the gains of configurations after it, (n, 3)."""


def gains(frame: pd.DataFrame) -> Array:
    """Return the gains of rows of recordings, (n, 3)."""
    goals = problem.goals()
    return np.array([objectives.gains(goals, row) for row in frame.to_dict("records")], dtype=float)


def recorded(frame: pd.DataFrame) -> list[Point]:
    """Return what was trained with every judged seed, the configurations of the additive model first."""
    of = frame[(frame["kind"] == "grid") & frame["seed"].isin(problem.JUDGED)]
    seeds = of.groupby("point")["seed"].nunique()
    return [point for point in problem.POINTS if seeds.get(point, 0) == len(problem.JUDGED)]


def cube(frame: pd.DataFrame, kind: str, points: Sequence[Point]) -> Array:
    """Return the gains of configurations with every judged seed, (seeds, n, 3)."""
    of = frame[frame["kind"] == kind].set_index(["seed", "point"])
    parts = [of.loc[[(seed, point) for point in points]] for seed in problem.JUDGED]
    return np.array([gains(estimated(part) if kind == "table" else part) for part in parts])


def curves(frame: pd.DataFrame, grid: Array, points: Sequence[Point]) -> list[Curves]:
    """Return what trainings of each judged seed measure at their end, and at rungs if all of `points` are recorded.

    Args:
        frame: The recorded rungs.
        grid: The gains at the end, (seeds, n, 3).
        points: The configurations, n.
    """
    found = []
    for seed, last in zip(problem.JUDGED, grid, strict=True):
        of = frame[frame["seed"] == seed].set_index(["kind", "point"])
        keys = {number: [(rows.epoch(number), point) for point in points] for number in problem.RUNGS}
        is_whole = of.index.isin([key for some in keys.values() for key in some]).sum() == len(keys) * len(
            points
        )
        rungs = {number: gains(of.loc[some]) for number, some in keys.items()} if is_whole else {}
        found.append(rungs | {problem.EPOCHS: last})
    return found


def estimated(table: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a width table with the accuracy that a study would take them for."""
    names = {name: f"metrics.{name}" for name in ("accuracy", "loss")}
    return table.assign(accuracy=by_loss(table.rename(columns=names))["metrics.accuracy"])


def chosen(table: Array, points: Sequence[Point]) -> list[int]:
    """Return the rows that a width table would try, in order."""
    return [int(row) for row in promising(range(len(points)), table, TRIED)]  # type: ignore[call-overload]


def candidates(frame: pd.DataFrame) -> list[Point]:
    """Return the configurations that the table of any seed would try."""
    points = recorded(frame)
    tables = cube(frame, "table", points)
    return list(dict.fromkeys(points[row] for one in tables for row in chosen(one, points)))


def tau(a: Array, b: Array) -> float:
    """Return Kendall's tau-b."""
    return float(kendalltau(a, b).statistic)


def others(values: Array, seed: int) -> Array:
    """Return the mean over all seeds but one, of `values` (seeds, ...)."""
    return np.delete(values, seed, axis=0).mean(0)


def ceiling(values: Array) -> float:
    """Return how well one more seed of the full grid ranks the mean of the others."""
    return float(np.mean([tau(values[s], others(values, s)) for s in range(len(values))]))


def table_tau(tables: Array, values: Array) -> float:
    """Return how well a table (one of several seeds) ranks the same means of the full grid."""
    pairs = product(range(len(tables)), range(len(values)))
    return float(np.mean([tau(tables[t], others(values, s)) for t, s in pairs]))


def additive(values: Array, points: Sequence[Point]) -> Array:
    """Return what an additive model of one-at-a-time trainings says of all configurations.

    Trained are all layers at the greatest width, and each layer at each other width alone: 9 trainings here.
    """
    at = dict(zip(points, values, strict=True))
    most = (max(problem.WIDTHS),) * len(problem.LAYERS)
    alone = [
        {w: at[(*most[:i], w, *most[i + 1 :])] - at[most] for w in problem.WIDTHS}
        for i in range(len(problem.LAYERS))
    ]
    return np.array([at[most] + sum(alone[i][w] for i, w in enumerate(p)) for p in points])


def additive_tau(values: Array, points: Sequence[Point]) -> float:
    """Return how well it ranks the mean of the seeds that it was not trained with; NaN until `ALONE` is recorded."""
    if not set(problem.ALONE) <= set(points):
        return float("nan")
    return float(np.mean([tau(additive(values[s], points), others(values, s)) for s in range(len(values))]))


def front(seen: Array) -> NDArray[np.intp]:
    """Return the rows that a search recommends: the non-dominated ones of what it saw, (n, 3)."""
    return np.flatnonzero(moocore.is_nondominated(seen, maximise=True))


def share(true: Array, rows: Sequence[int] | NDArray[np.intp], whole: Array) -> float:
    """Return the hypervolume of rows of `true` means as a share of that of all of `whole`."""
    return volume(1 - np.clip(true[rows], 0, None)) / volume(1 - np.clip(whole, 0, None))


def trials_to_enough(order: Sequence[int], seen: Array, true: Array, whole: Array) -> tuple[float, float]:
    """Return after how many trials the recommended front has `ENOUGH`, infinite if never, and its share at the end.

    Args:
        order: The rows in the order in which a search tries them.
        seen: What it measures, (n, 3).
        true: What the same rows measure on average with other seeds, (n, 3).
        whole: The true means of the full grid.
    """
    found = np.inf
    for count in range(1, len(order) + 1):
        tried = np.array(order[:count])
        last = share(true, tried[front(seen[tried])], whole)
        if last >= ENOUGH and not np.isfinite(found):
            found = float(count)
    return found, last
