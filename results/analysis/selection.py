"""Which trial to take: three recommendations, a choice within bounds, and what the chosen one is.

Rows are rows of ``study.trials``.
"""

import shlex
import tomllib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from results.analysis import fronts
from results.analysis.studies import Study
from search_spaces.bits import is_width
from study_common import layout
from study_common.errors import UserError, check_known

COSTS = ("bops", "flops", "size_bytes", "macs")
"""Metrics that are known before training and do not vary with the seed."""

LESS_IS_BETTER = {*COSTS, "loss", "train_loss", "kl"}
"""Metrics to minimise where the objectives do not say."""

WIDTHS = {"bits": ("weights", "activations"), "w_bits": ("weights",), "a_bits": ("activations",)}
"""Prefixes of width parameters, and what each sets in its layer."""

POINT = 0.01
"""One point of accuracy."""

Z95 = 1.96


def recommend(study: Study) -> dict[str, pd.Series]:
    """Return up to three named rows of the front: most accurate, knee, cheapest that is near the best.

    The knee is the nearest to the ideal (:func:`results.analysis.fronts.distance_to_ideal`), near is within one
    point of accuracy. They may be the same trial; there is none when the front is empty. O(n log n), as the
    front.
    """
    front = fronts.front(study.trials, study.directions)
    if front.empty:
        return {}
    knee = front.iloc[fronts.distance_to_ideal(front, study.directions).argmin()]
    if "metrics.accuracy" not in front or front["metrics.accuracy"].isna().all():
        return {"Knee": knee}
    accuracy, cost = front["metrics.accuracy"], front[f"metrics.{cost_metric(study)}"]
    best = accuracy.max()
    return {
        "Most accurate": front.loc[cost[accuracy == best].idxmin()],
        "Knee": knee,
        "Cheapest within 1 point": front.loc[cost[accuracy >= best - POINT].idxmin()],
    }


def cost_metric(study: Study) -> str:
    """Return the cost that the study minimises first, ``bops`` if it minimises none."""
    return next((name for name in study.objectives if name in COSTS), "bops")


def select(
    study: Study, *, at_most: Mapping[str, float], at_least: Mapping[str, float], prefer: str = "knee"
) -> pd.Series:
    """Return the best complete, feasible row within the bounds; O(n log n).

    Args:
        study: the study to choose from.
        at_most: upper bounds of metrics, ``{"bops": 3e6}``.
        at_least: lower bounds of metrics, ``{"accuracy": 0.9}``.
        prefer: ``"knee"`` of the front within the bounds, or the metric that decides among its members.

    Raises:
        ValueError: an unknown metric, or nothing within the bounds; the message names the closest trial.
    """
    usable = study.trials[fronts.eligible(study.trials, study.directions)]
    if usable.empty:
        raise UserError(
            f"{study.name} has no complete, feasible trial yet; let its driver run on, or if none does, go on with "
            f"python -m study.resume {study.name}."
        )
    excess = pd.Series(0.0, index=usable.index)
    for bounds, sign in ((at_most, 1.0), (at_least, -1.0)):
        for name, bound in bounds.items():
            over = sign * (metric(usable, name) - bound) / max(abs(bound), 1e-12)
            excess += over.clip(lower=0).fillna(np.inf)
    if (excess > 0).all():
        wanted = [f"{name} <= {bound:g}" for name, bound in at_most.items()]
        wanted += [f"{name} >= {bound:g}" for name, bound in at_least.items()]
        closest = usable.iloc[excess.argmin()]
        has = ", ".join(f"{name} {closest[f'metrics.{name}']:g}" for name in [*at_most, *at_least])
        raise UserError(
            f"no trial of {study.name} has {' and '.join(wanted)}; loosen a bound: the closest, "
            f"trial {closest['number']}, has {has}."
        )
    front = fronts.front(usable[excess == 0], study.directions)
    if prefer == "knee":
        return front.iloc[fronts.distance_to_ideal(front, study.directions).argmin()]
    least = study.directions.get(prefer, "min" if prefer in LESS_IS_BETTER else "max") == "min"
    values = metric(front, prefer)
    return front.iloc[values.argmin() if least else values.argmax()]


def metric(frame: pd.DataFrame, name: str) -> pd.Series:
    """Return the column of the metric ``name``; ValueError with the nearest name if there is none."""
    check_known("metric", [name], fronts.metrics(frame))
    return frame[f"metrics.{name}"]


def error_bar(row: pd.Series, name: str) -> float:
    """Return the half width of the 95 % interval of a metric of ``row``, NaN where it has none.

    It is the sampling error of the images; how much another seed would differ is what ``study.confirm`` measures.
    """
    return Z95 * standard_error(row, name)


def standard_error(row: pd.Series, name: str) -> float:
    """Return the standard error of a metric of ``row`` that its images leave, NaN where none was recorded."""
    return float(row.get(f"metrics.{name}_se", np.nan))


def widths(study: Study, row: pd.Series) -> dict[str, dict[str, int]]:
    """Return the bits of each layer that the trial names: ``{"conv1": {"weights": 4, "activations": 8}}``."""
    found: dict[str, dict[str, int]] = {}
    for name, value in configuration(study, row).items():
        prefix, _, layer = name.partition(".")
        for kind in WIDTHS.get(prefix, ()):
            found.setdefault(layer or "all layers", {})[kind] = int(value)
    return found


def searched_widths(study: Study) -> list[str]:
    """Return the names of the parameters that are widths: ``bits.conv1``, ..."""
    return [name for name in study.distributions if is_width(name)]


def configuration(study: Study, row: pd.Series) -> dict[str, Any]:
    """Return a trial's flat configuration: its ``config.toml``, or what the record knows without it."""
    file = study.path / layout.TRIALS_DIR / str(row["number"]) / layout.CONFIG_FILE
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not copied, or cut short
        names = [name for name in row.index if name.startswith("params.") and not pd.isna(row[name])]
        return {
            **study.request.get("fixed", {}),
            **{name.removeprefix("params."): row[name] for name in names},
        }


def export_command(study: Study, row: pd.Series) -> str:
    """Return the shell command that exports the trial's model."""
    checkpoint = study.path / layout.TRIALS_DIR / str(row["number"]) / layout.CHECKPOINT_FILE
    out = f"{study.path.resolve().name}-{row['number']}"
    return f"python -m trainables.export {shlex.quote(str(checkpoint))} --out {shlex.quote(out)}"
