"""Pareto fronts, dominated hypervolume, the knee, and thinning for display.

Only complete, feasible trials with finite objectives count. Throughout, n is the number of trials, m of
objectives, and *minimised* objectives have their sign turned where more is better, so that less is always better. The
mathematics is moocore's.
"""

from collections.abc import Mapping

import moocore
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results.analysis.formatting import format_metric
from results.analysis.metrics import metric_names
from study_common.errors import UserError, check_known
from study_common.objectives import Objective

MAX_EXACT_OBJECTIVES = 5
"""Objectives up to which the hypervolume is exact; at ten, the exact one of 100 points takes five minutes."""

LARGEST_VALUE = 1e30
"""The largest size of an objective that counts as measured. moocore crashes on infinity and near it."""


def eligible(trials: pd.DataFrame, directions: Mapping[str, str]) -> NDArray[np.bool_]:
    """Return which trials may enter a front, (n,): complete, feasible, every objective measured."""
    good = ((trials["state"] == "complete") & trials["feasible"]).to_numpy(bool)
    return good & (np.abs(_values(trials, directions)) <= LARGEST_VALUE).all(axis=1)


def minimised(trials: pd.DataFrame, directions: Mapping[str, str]) -> NDArray[np.float64]:
    """Return the objectives, with the sign turned where more is better, so that less is always better, (n, m)."""
    signs = [-1.0 if direction == "max" else 1.0 for direction in directions.values()]
    return np.asarray(_values(trials, directions) * signs, float)


def pareto_front(trials: pd.DataFrame, directions: Mapping[str, str]) -> pd.DataFrame:
    """Return the non-dominated trials, equal ones all kept, in their order.

    O(n log n) for up to three objectives, O(n^2 m) at worst beyond (Kung, Luccio and Preparata 1975).

    >>> trials = pd.DataFrame({"state": "complete", "feasible": True, "metrics.accuracy": [0.9, 0.8, 0.7],
    ...                        "metrics.flops": [3.0, 1.0, 2.0]})
    >>> pareto_front(trials, {"accuracy": "max", "flops": "min"}).index.to_list()
    [0, 1]

    Args:
        trials: One row per trial: state, feasible, metrics.*.
        directions: "max" or "min" of each objective.

    Raises:
        UserError: An objective that `trials` has no column for, or a direction other than "max" and "min".
    """
    rows = np.flatnonzero(eligible(trials, directions))
    points = minimised(trials.iloc[rows], directions)
    return trials.iloc[rows[nondominated(points)]]


def nondominated(points: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which minimised `points` (n, m), all finite, no other dominates, (n,); O as `pareto_front`."""
    assert np.isfinite(points).all()  # moocore would crash
    return np.asarray(moocore.is_nondominated(points, keep_weakly=True), bool)


def hypervolume(trials: pd.DataFrame, objectives: Mapping[str, Objective]) -> float:
    """Return the share of the box between reference and ideal that `trials` dominate.

    Trials worse than the reference in any objective add 0, as do ineligible ones. O(n log n) for up to three
    objectives, O(n^2) for four, O(n^3) for five; beyond, an approximation (moocore's deterministic
    `hv_approx`).

    >>> box = {"accuracy": Objective(direction="max", ideal=1.0, reference=0.0),
    ...        "flops": Objective(direction="min", ideal=0.0, reference=4.0)}
    >>> trials = pd.DataFrame({"state": "complete", "feasible": True, "metrics.accuracy": [0.5, 1.0],
    ...                        "metrics.flops": [1.0, 3.0]})
    >>> hypervolume(trials, box)  # 0.5 * 0.75 + 0.5 * 0.25
    0.5
    """
    return volume(normalised(trials[eligible(trials, directions_of(objectives))], objectives))


def directions_of(objectives: Mapping[str, Objective]) -> dict[str, str]:
    """Return "max" or "min" of each objective."""
    return {name: objective.direction for name, objective in objectives.items()}


def hypervolume_warnings(trials: pd.DataFrame, objectives: Mapping[str, Objective]) -> list[str]:
    """Return why the hypervolume of `trials` tells little: one sentence per objective, without a full stop.

    An objective that no trial improves over its reference makes every hypervolume 0; one that is the same in
    all trials decides nothing.
    """
    usable = trials[eligible(trials, directions_of(objectives))]
    if usable.empty:
        return []
    warnings = []
    for name, scaled in zip(objectives, normalised(usable, objectives).T, strict=True):
        if scaled.min() >= 1:
            reference = format_metric(name, objectives[name].reference)
            warnings.append(
                f"the hypervolume is 0 because no trial is better in {name} than its reference, {reference}"
            )
        elif len(usable) > 1 and np.ptp(scaled) == 0:
            warnings.append(f"{name} is the same in all {len(usable)} trials, so it decides nothing")
    return warnings


def hypervolume_history(
    trials: pd.DataFrame, objectives: Mapping[str, Objective], points: int = 200
) -> pd.DataFrame:
    """Return how the hypervolume grew over `trials` in their order: trials, hypervolume.

    At most `points` rows, evenly spread, each exact: k fronts of (the last front + n/k trials), so
    O(n log n + k f log f) for up to three objectives and fronts of f trials.
    """
    usable = eligible(trials, directions_of(objectives))
    scaled = normalised(trials, objectives)
    stops = np.unique(np.linspace(0, len(trials), min(points, len(trials)) + 1).astype(int))[1:]
    best = np.empty((0, len(objectives)))
    volumes = []
    for start, stop in zip([0, *stops], stops, strict=False):
        best = np.vstack([best, scaled[start:stop][usable[start:stop]]])
        best = best[nondominated(best)]
        volumes.append(volume(best))
    return pd.DataFrame({"trials": stops, "hypervolume": np.array(volumes, dtype=float)})


def distance_to_ideal(trials: pd.DataFrame, directions: Mapping[str, str]) -> pd.Series:
    """Return how far each trial is from the best values among them, in [0, sqrt(m)]; O(n m).

    Every objective is scaled to its range over `trials`, a constant one counts nothing. The nearest is the
    knee.
    """
    points = minimised(trials, directions)
    lowest = points.min(axis=0, initial=np.inf)
    span = points.max(axis=0, initial=-np.inf) - lowest
    scaled = (points - lowest) / np.where(span > 0, span, 1.0)
    return pd.Series(np.linalg.norm(scaled, axis=1), index=trials.index)


def thin(points: NDArray[np.float64], limit: int) -> NDArray[np.intp]:
    """Return at most `limit` row numbers of `points` (n, m) that show the same picture.

    The range of each objective is cut into the same number of cells, and the first point of every occupied
    box stays: each dropped point is epsilon-dominated by a kept one, epsilon being one cell (the grid of
    Laumanns et al. 2002), and outliers stay. The cells are made finer until `limit` is passed: about 30
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


def normalised(trials: pd.DataFrame, objectives: Mapping[str, Objective]) -> NDArray[np.float64]:
    """Return the objectives scaled so that the ideal is 0 and the reference 1, (n, m): less is better."""
    ideal = np.array([objective.ideal for objective in objectives.values()])
    reference = np.array([objective.reference for objective in objectives.values()])
    values = _values(trials, directions_of(objectives))
    return np.asarray((ideal - values) / (ideal - reference), float)


def volume(points: NDArray[np.float64]) -> float:
    """Return the hypervolume of `normalised` points (n, m), all finite; O as `hypervolume`."""
    assert np.isfinite(points).all()  # moocore would crash
    points = np.clip(points, -LARGEST_VALUE, LARGEST_VALUE)  # products of more would overflow
    ref = [1.0] * points.shape[1]
    if len(ref) <= MAX_EXACT_OBJECTIVES:
        return float(moocore.hypervolume(points, ref=ref))
    return float(moocore.hv_approx(points[nondominated(points)], ref=ref, nsamples=2**14))


def _values(trials: pd.DataFrame, directions: Mapping[str, str]) -> NDArray[np.float64]:
    check_known("metric", directions, metric_names(trials))
    if wrong := set(directions.values()) - {"max", "min"}:
        raise UserError(f"the direction of an objective is 'max' or 'min', not {wrong.pop()!r}")
    return trials[[f"metrics.{name}" for name in directions]].to_numpy(dtype=float, na_value=np.nan)
