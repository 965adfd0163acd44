"""What a configuration measures with the weights of a shared model, untrained: an estimate of its trial."""

from collections.abc import Mapping
from typing import Any

from trainables.training.config import Config
from trainables.training.evaluation import evaluate, measure_faithfulness
from trainables.training.network import costs
from trainables.training.run import Run


def estimate(flat: Mapping[str, Any]) -> dict[str, float]:
    """Measure a configuration as it starts, on the validation split.

    The statistics of BatchNorm are taken anew. The same configuration gives the same figures on a CPU.

    Args:
        flat: The configuration by flat names; `init` is the checkpoint of the shared model.

    Returns:
        The metrics of `evaluation.evaluate`, faithfulness by the removals of the objective, and the costs.

    Raises:
        UserError: As a run: images or weights cannot be used.
    """
    config = Config.parse(flat)
    run = Run(config)
    measured = evaluate(run.model, run.data.validation, run.scale, config).metrics
    faithfulness = measure_faithfulness(
        run.model, run.data.validation, run.data, run.scale, config, whole_suite=False
    )
    return {**measured, **faithfulness.metrics(), **costs(config)}
