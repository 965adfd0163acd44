"""What a configuration measures with the weights of a shared model, untrained: an estimate of its trial.

It costs a small part of an epoch: it is of fewer images than the metrics of a trial, the same for every configuration,
so that what is left of their luck is common to all.
"""

from collections.abc import Mapping
from typing import Any

from trainables.training.config import Config
from trainables.training.evaluation import choose, measure_faithfulness, measure_quality
from trainables.training.network import costs
from trainables.training.run import Run

IMAGES = 500
"""Validation images of which quality is estimated; all if there are fewer."""
MAPS = 50
"""Those of which faithfulness is."""
PASSES_OF_MAP = 14
"""Forward passes of an image for its faithfulness: its class, its map (3), five fractions removed in two orders."""
PASSES_OF_STEP = 12
"""Those that an image costs in a step of a shared model: three configurations of about four each, measured on a CPU."""
SHARE = 0.25
"""What all estimates together may cost, as a share of the shared model's training."""


def estimate(flat: Mapping[str, Any]) -> dict[str, float]:
    """Measure a configuration as it starts, on the validation split.

    The statistics of BatchNorm are taken anew. The same configuration gives the same figures on a CPU.

    Args:
        flat: The configuration by flat names; `init` is the checkpoint of the shared model.

    Returns:
        The metrics of `evaluation.measure_quality`, faithfulness by the removals of the objective, and the costs.

    Raises:
        UserError: As a run: images or weights cannot be used.
    """
    config = Config.parse(flat)
    run = Run(config)
    some, few = (choose(run.data.validation, count) for count in (IMAGES, MAPS))
    maps = measure_faithfulness(run.model, few, run.data, run.scale, config, whole_suite=False)
    return {**measure_quality(run.model, some, run.scale), **maps.metrics(), **costs(config)}


def affordable(epochs: int, train: int, validation: int) -> int:
    """Return how many estimates cost `SHARE` of the training of a shared model, at least 1.

    Args:
        epochs: Those of the shared model.
        train: Training images.
        validation: Validation images.

    >>> affordable(4, train=4000, validation=1000)
    40
    """
    training = PASSES_OF_STEP * train * epochs
    one = min(validation, IMAGES) + PASSES_OF_MAP * min(validation, MAPS)
    return max(1, int(SHARE * training / one))
