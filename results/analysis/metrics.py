"""What is known of metrics by their name, and the columns of a frame of trials that hold them."""

import pandas as pd

from study_common.errors import check_known
from study_common.objectives import COSTS

COST_METRICS = (*COSTS, "macs")
"""Metrics that are known before training and do not vary with the seed: the costs, and what they are made of."""

LOWER_IS_BETTER = {*COST_METRICS, "loss", "train_loss", "kl"}
"""Metrics to minimise where the objectives do not say."""


def metric_names(trials: pd.DataFrame) -> list[str]:
    """Return the names of the metrics that `trials` has a column for."""
    names = map(str, trials.columns)
    return [name.removeprefix("metrics.") for name in names if name.startswith("metrics.")]


def metric_column(trials: pd.DataFrame, name: str) -> pd.Series:
    """Return the column of the metric `name`.

    Raises:
        UserError: There is none; the message names the nearest.
    """
    check_known("metric", [name], metric_names(trials))
    return trials[f"metrics.{name}"]
