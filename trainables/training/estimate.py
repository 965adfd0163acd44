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
