"""Which trials are worth having: fronts, dominated hypervolume, the knee, and thinning for display.

Only complete, feasible trials with finite objectives count. Throughout, n is the number of trials, m of
objectives, and *costs* are objective values turned so that less is better. The mathematics is moocore's.
"""

from collections.abc import Mapping

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from study_common.errors import UserError, check_known
from study_common.objectives import Objective

EXACT_UP_TO = 5
"""Objectives up to which the hypervolume is exact; at ten, the exact one of 100 points takes five minutes."""


def metrics(frame: pd.DataFrame) -> list[str]:
    """Return the names of the metrics that ``frame`` has a column for."""
    names = map(str, frame.columns)
    return [name.removeprefix("metrics.") for name in names if name.startswith("metrics.")]


def eligible(frame: pd.DataFrame, directions: Mapping[str, str]) -> NDArray[np.bool_]:
    """Return which rows may enter a front, (n,): complete, feasible, every objective finite."""
    good = ((frame["state"] == "complete") & frame["feasible"]).to_numpy(bool)
    return good & np.isfinite(_values(frame, directions)).all(axis=1)


def costs(frame: pd.DataFrame, directions: Mapping[str, str]) -> NDArray[np.float64]:
    """Return the objectives with the sign that makes less better, (n, m)."""
    return _values(frame, directions) * [-1.0 if way == "max" else 1.0 for way in directions.values()]


def front(frame: pd.DataFrame, directions: Mapping[str, str]) -> pd.DataFrame:
    """Return the non-dominated rows of ``frame``, equal rows all kept, in the order they came.

    O(n log n) for up to three objectives, O(n^2 m) at worst beyond (Kung, Luccio and Preparata 1975).

    >>> frame = pd.DataFrame({"state": "complete", "feasible": True, "metrics.accuracy": [0.9, 0.8, 0.7],
    ...                       "metrics.flops": [3.0, 1.0, 2.0]})
    >>> front(frame, {"accuracy": "max", "flops": "min"}).index.to_list()
    [0, 1]

    Raises:
        ValueError: an objective that the frame has no column for, or a direction other than "max" and "min".
    """
    rows = np.flatnonzero(eligible(frame, directions))
    points = costs(frame.iloc[rows], directions)
    return frame.iloc[rows[nondominated(points)]]


def nondominated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which costs ``points`` (n, m), all finite, no other dominates, (n,); O as :func:`front`."""
    assert not np.isnan(points).any()  # moocore would not survive it
    return np.asarray(moocore.is_nondominated(points, keep_weakly=True), bool)


def hypervolume(frame: pd.DataFrame, objectives: Mapping[str, Objective]) -> float:
    """Return the share of the box between reference and ideal that the trials of ``frame`` dominate.

    Trials worse than the reference in any objective add 0, as do ineligible ones. O(n log n) for up to three
    objectives, O(n^2) for four, O(n^3) for five; beyond, an approximation (moocore's deterministic
    ``hv_approx``).

    >>> box = {"accuracy": Objective(direction="max", ideal=1.0, reference=0.0),
    ...        "flops": Objective(direction="min", ideal=0.0, reference=4.0)}
    >>> frame = pd.DataFrame({"state": "complete", "feasible": True, "metrics.accuracy": [0.5, 1.0],
    ...                       "metrics.flops": [1.0, 3.0]})
    >>> hypervolume(frame, box)  # 0.5 * 0.75 + 0.5 * 0.25
    0.5
    """
    directions = {name: objective.direction for name, objective in objectives.items()}
    return volume(normalised(frame[eligible(frame, directions)], objectives))


def history(frame: pd.DataFrame, objectives: Mapping[str, Objective], points: int = 200) -> pd.DataFrame:
    """Return how the hypervolume grew over the rows of ``frame`` in their order: trials, hypervolume.

    At most ``points`` rows, evenly spread, each exact: k fronts of (the last front + n/k trials), so
    O(n log n + k f log f) for up to three objectives and fronts of f trials.
    """
    directions = {name: objective.direction for name, objective in objectives.items()}
    usable = eligible(frame, directions)
    scaled = normalised(frame, objectives)
    stops = np.unique(np.linspace(0, len(frame), min(points, len(frame)) + 1).astype(int))[1:]
    best = np.empty((0, len(objectives)))
    volumes = []
    for start, stop in zip([0, *stops], stops, strict=False):
        best = np.vstack([best, scaled[start:stop][usable[start:stop]]])
        best = best[nondominated(best)]
        volumes.append(volume(best))
    return pd.DataFrame({"trials": stops, "hypervolume": np.array(volumes, dtype=float)})


def distance_to_ideal(rows: pd.DataFrame, directions: Mapping[str, str]) -> pd.Series:
    """Return how far each of ``rows`` is from the best values among them, in [0, sqrt(m)]; O(n m).

    Every objective is scaled to its range over ``rows``, a constant one counts nothing. The nearest is the
    knee.
    """
    points = costs(rows, directions)
    lowest = points.min(axis=0, initial=np.inf)
    span = points.max(axis=0, initial=-np.inf) - lowest
    scaled = (points - lowest) / np.where(span > 0, span, 1.0)
    return pd.Series(np.linalg.norm(scaled, axis=1), index=rows.index)


def thin(points: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Return at most ``limit`` row numbers of ``points`` (n, m) that show the same picture.

    The range of each objective is cut into the same number of cells, and the first point of every occupied
    box stays: each dropped point is epsilon-dominated by a kept one, epsilon being one cell (the grid of
    Laumanns et al. 2002), and outliers stay. The cells are made finer until ``limit`` is passed: about 30
    times O(n (m + log n)).
    """
    if len(points) <= limit:
        return np.arange(len(points))
    lowest, span = points.min(axis=0), np.ptp(points, axis=0)
    unit = (points - lowest) / np.where(span > 0, span, 1.0)
    kept = np.zeros(1, dtype=np.intp)
    cells, most = 2, int(2 ** (62 / points.shape[1]))  # the number of a box has to fit 63 bits
    while cells <= most:
        boxes = np.minimum((unit * cells).astype(np.int64), cells - 1)
        first = np.unique(boxes @ cells ** np.arange(points.shape[1]), return_index=True)[1]
        if len(first) > limit:
            break
        kept = np.sort(first)
        cells += 1 + cells // 4
    return kept


def normalised(frame: pd.DataFrame, objectives: Mapping[str, Objective]) -> NDArray[np.float64]:
    """Return costs scaled so that the ideal is 0 and the reference 1, (n, m)."""
    ideal = np.array([objective.ideal for objective in objectives.values()])
    reference = np.array([objective.reference for objective in objectives.values()])
    values = _values(frame, {name: objective.direction for name, objective in objectives.items()})
    return np.asarray((ideal - values) / (ideal - reference), float)


def volume(points: NDArray[np.float64]) -> float:
    """Return the hypervolume of normalised costs ``points`` (n, m), none NaN; O as :func:`hypervolume`."""
    assert not np.isnan(points).any()
    ref = [1.0] * points.shape[1]
    if len(ref) <= EXACT_UP_TO:
        return float(moocore.hypervolume(points, ref=ref))
    return float(moocore.hv_approx(points[nondominated(points)], ref=ref, nsamples=2**14))


def _values(frame: pd.DataFrame, directions: Mapping[str, str]) -> NDArray[np.float64]:
    check_known("metric", directions, metrics(frame))
    if wrong := set(directions.values()) - {"max", "min"}:
        raise UserError(f"an objective's direction is 'max' or 'min', not {wrong.pop()!r}.")
    return frame[[f"metrics.{name}" for name in directions]].to_numpy(dtype=float, na_value=np.nan)
