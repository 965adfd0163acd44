"""Which trial to take: three recommendations, and the choice within bounds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from results.analysis import fronts
from results.analysis.metrics import COST_METRICS, LOWER_IS_BETTER, metric_column
from study_common.errors import UserError

POINT = 0.01
"""One point of accuracy."""

LIKELY = 0.5
"""The probability of front membership from which a trial is preferred over less likely ones."""


def recommend(trials: pd.DataFrame, directions: Mapping[str, str]) -> dict[str, pd.Series]:
    """Return up to three trials of the front: the most accurate, the knee, the cheapest that is near the best.

    The knee is the nearest to the ideal (`fronts.distance_to_ideal`), near is within one point of accuracy. They
    may be the same trial; there is none when the front is empty. Where `trials` have a column `p_front`, members of
    at least `LIKELY` are preferred. O(n log n), as the front.

    Args:
        trials: One row per trial: state, feasible, metrics.*.
        directions: "max" or "min" of each objective.
    """
    front = fronts.pareto_front(trials, directions)
    if front.empty:
        return {}
    front = _likely(front)
    knee = front.iloc[fronts.distance_to_ideal(front, directions).argmin()]
    if "metrics.accuracy" not in front or front["metrics.accuracy"].isna().all():
        return {"Knee": knee}
    accuracy, cost = front["metrics.accuracy"], front[f"metrics.{cost_metric(directions)}"]
    best = accuracy.max()
    return {
        "Most accurate": front.loc[cost[accuracy == best].idxmin()],
        "Knee": knee,
        "Cheapest within 1 point": front.loc[cost[accuracy >= best - POINT].idxmin()],
    }


def cost_metric(directions: Mapping[str, str]) -> str:
    """Return the first cost among the objectives, `bops` if there is none."""
    return next((name for name in directions if name in COST_METRICS), "bops")


def select_trials(
    trials: pd.DataFrame,
    directions: Mapping[str, str],
    *,
    at_most: Mapping[str, float] | None = None,
    at_least: Mapping[str, float] | None = None,
    prefer: str = "knee",
) -> pd.DataFrame:
    """Return the front of the trials within the bounds, the best first; O(n log n).

    Args:
        trials: One row per trial: number, state, feasible, metrics.*.
        directions: "max" or "min" of each objective.
        at_most: Upper bounds of metrics, `{"bops": 3e6}`.
        at_least: Lower bounds of metrics, `{"accuracy": 0.9}`.
        prefer: What makes a trial better: "knee", the distance to the ideal, or a metric.

    Raises:
        UserError: An unknown metric, or nothing within the bounds; the message names the closest trial.
    """
    at_most, at_least = at_most or {}, at_least or {}
    usable = trials[fronts.eligible(trials, directions)]
    if usable.empty:
        raise UserError("no trial is complete and feasible yet; let the study run on, or resume it")
    excess = pd.Series(0.0, index=usable.index)
    for bounds, sign in ((at_most, 1.0), (at_least, -1.0)):
        for name, bound in bounds.items():
            over = sign * (metric_column(usable, name) - bound) / max(abs(bound), 1e-12)
            excess += over.clip(lower=0).fillna(np.inf)
    if (excess > 0).all():
        raise _nothing_within(at_most, at_least, usable.iloc[excess.argmin()])
    front = fronts.pareto_front(usable[excess == 0], directions)
    if prefer == "knee":
        order = fronts.distance_to_ideal(front, directions)
    else:
        default = "min" if prefer in LOWER_IS_BETTER else "max"
        order = metric_column(front, prefer) * (1 if directions.get(prefer, default) == "min" else -1)
    return front.loc[order.sort_values(kind="stable").index]


def _likely(front: pd.DataFrame) -> pd.DataFrame:
    """Return the members that are likely on the front, all if none is, or if it is not known."""
    if "p_front" not in front:
        return front
    likely = front[front["p_front"] >= LIKELY]
    return front if likely.empty else likely


def _nothing_within(
    at_most: Mapping[str, float], at_least: Mapping[str, float], closest: pd.Series
) -> UserError:
    wanted = [f"{name} <= {bound:g}" for name, bound in at_most.items()]
    wanted += [f"{name} >= {bound:g}" for name, bound in at_least.items()]
    has = ", ".join(f"{name} {closest[f'metrics.{name}']:g}" for name in [*at_most, *at_least])
    return UserError(
        f"no trial has {' and '.join(wanted)}; loosen a bound: the closest, trial {closest['number']}, has {has}"
    )
