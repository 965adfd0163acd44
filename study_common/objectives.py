"""Objectives and constraints: what a study optimises, in which direction, between which ideal and reference.

The (ideal, reference) pair of an objective is fixed when the study is created and frozen in `study.toml`, so that
all hypervolumes of one study can be compared.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from study_common.errors import UserError, unknown

COSTS = ("flops", "bops", "size_bytes")
"""Objectives that are known before training."""
LOCALISATION = ("saliency_inside", "pointing_game")
"""Objectives that need masks of the images."""
EXTREME = 1e9
"""The largest absolute value of a gain; those of real measurements are between -100 and 1."""
DEFAULT = "accuracy:max,flops:min,faithfulness:max"


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is optimised, and the fixed pair of values that its hypervolume is normalised to."""

    direction: str
    """"max" or "min"."""
    ideal: float
    """The value that counts 1."""
    reference: float
    """The value that counts 0; anything worse adds nothing."""


def parse(text: str, classes: int, float_costs: Mapping[str, float]) -> dict[str, Objective]:
    """Read objectives such as "accuracy:max,flops:min".

    Args:
        text: Names and directions, separated by commas.
        classes: Of the data set; the reference of a score is what chance reaches.
        float_costs: The costs of the 32-bit model, which are their references.

    Raises:
        UserError: A name or a direction is wrong, a name comes twice, or there are fewer than two.

    >>> parse("accuracy:max,flops:min", 10, {"flops": 12e6})["flops"]
    Objective(direction='min', ideal=0.0, reference=12000000.0)
    """
    known = {
        "accuracy": Objective(direction="max", ideal=1.0, reference=1 / classes),
        "sensitivity": Objective(direction="max", ideal=1.0, reference=1 / classes),
        "specificity": Objective(direction="max", ideal=1.0, reference=1 - 1 / classes),
        "auroc": Objective(direction="max", ideal=1.0, reference=0.5),
        "loss": Objective(direction="min", ideal=0.0, reference=math.log(classes)),
        "faithfulness": Objective(direction="max", ideal=1.0, reference=0.0),
        **dict.fromkeys(LOCALISATION, Objective(direction="max", ideal=1.0, reference=0.0)),
    }
    known |= {
        c: Objective(direction="min", ideal=0.0, reference=float_costs[c]) for c in COSTS if c in float_costs
    }
    objectives: dict[str, Objective] = {}
    for part in text.split(","):
        name, _, direction = part.strip().partition(":")
        if not name:
            raise UserError(f"an objective has no name; write them as {DEFAULT}")
        if name not in known:
            raise unknown("objective", name, known)
        if name in objectives:
            raise UserError(f"the objective {name} is given twice; name it once")
        if direction != known[name].direction:
            raise UserError(
                f"{name} is optimised towards {known[name].direction}; write {name}:{known[name].direction}"
            )
        objectives[name] = known[name]
    if len(objectives) < 2:
        raise UserError(
            "a study trades objectives against each other; name at least two, separated by commas"
        )
    return objectives


def document(objectives: Mapping[str, Objective]) -> dict[str, dict[str, float | str]]:
    """Return the [objectives] tables of `study.toml`."""
    return {name: asdict(objective) for name, objective in objectives.items()}


def gains(objectives: Mapping[str, Objective], metrics: Mapping[str, float]) -> tuple[float, ...]:
    """Return one number per objective, larger is better, 1 at the ideal and 0 at the reference.

    NaN for one that is missing or infinite. Others are clipped to +-`EXTREME`: hypervolumes of larger ones overflow.

    >>> gains(parse("accuracy:max,flops:min", 10, {"flops": 100.0}), {"accuracy": 1.0, "flops": 25.0})
    (1.0, 0.75)
    >>> gains(parse("accuracy:max,flops:min", 10, {"flops": 100.0}), {"flops": 25.0})
    (nan, 0.75)
    >>> gains(parse("accuracy:max,flops:min", 10, {"flops": 100.0}), {"accuracy": math.inf, "flops": 1.7e308})
    (nan, -1000000000.0)
    """
    return tuple(_gain(objective, metrics.get(name, math.nan)) for name, objective in objectives.items())


def errors(objectives: Mapping[str, Objective], metrics: Mapping[str, float]) -> tuple[float, ...]:
    """Return the standard error of each gain: that of the metric, `NAME_se`, on the scale of gains; 0 if it has none.

    >>> targets = parse("accuracy:max,flops:min", 2, {"flops": 100.0})
    >>> errors(targets, {"accuracy": 0.7, "accuracy_se": 0.01, "flops": 25.0})
    (0.02, 0.0)
    """
    known = {name: metrics.get(f"{name}_se", 0.0) for name in objectives}
    return tuple(
        abs(known[name] / (objective.ideal - objective.reference)) if math.isfinite(known[name]) else 0.0
        for name, objective in objectives.items()
    )


def _gain(objective: Objective, value: float) -> float:
    if not math.isfinite(value):
        return math.nan
    gain = (value - objective.reference) / (objective.ideal - objective.reference)
    return min(max(gain, -EXTREME), EXTREME)


def are_finite(objectives: Iterable[str], metrics: Mapping[str, float]) -> bool:
    """Tell whether every objective was measured and is a finite number."""
    return all(math.isfinite(metrics.get(name, math.nan)) for name in objectives)


def without_volume(
    objectives: Mapping[str, Objective], trials: Iterable[Mapping[str, float]]
) -> tuple[str, ...]:
    """Return the objectives in which none of the `trials` is better than the reference: every hypervolume is 0 then.

    >>> targets = parse("accuracy:max,flops:min", 10, {"flops": 100.0})
    >>> without_volume(targets, [{"accuracy": 0.7, "flops": 100.0}, {"accuracy": 0.05, "flops": 120.0}])
    ('flops',)
    """
    rows = [gains(objectives, metrics) for metrics in trials]
    return tuple(
        name for index, name in enumerate(objectives) if rows and not any(row[index] > 0 for row in rows)
    )
