"""The width table of a study that began with a shared model: what it estimates, and how well that ranks the trials."""

import numpy as np
import pandas as pd

from results.analysis.studies import Study
from search_spaces.bits import is_width
from study_common.objectives import COSTS

RESAMPLES = 1000
LEAST = 5
"""Trials that a rank correlation takes."""
LEAST_LOSSES = 3
"""Different losses that a line takes."""
ALPHA = "params.alpha_init"
COLUMNS = ["objective", "trials", "tau", "low", "high", "gain", "gain_se"]


def by_loss(table: pd.DataFrame) -> pd.DataFrame:
    """Return a width table whose accuracies are those that its losses predict, by a line through all rows.

    The share of images that are right is a coarse measure; over separate trainings the loss ranks configurations
    better (docs/benchmarks.md, "One training of all widths").

    Args:
        table: `widths.parquet`, with `metrics.accuracy` and `metrics.loss`.

    >>> rows = pd.DataFrame({"metrics.loss": [1.0, 2.0, 3.0], "metrics.accuracy": [0.7, 0.5, 0.6]})
    >>> by_loss(rows)["metrics.accuracy"].round(2).tolist()
    [0.65, 0.6, 0.55]
    """
    accuracy, loss = "metrics.accuracy", "metrics.loss"
    if not {accuracy, loss} <= set(table):
        return table
    finite = table[np.isfinite(table[loss].astype(float)) & np.isfinite(table[accuracy].astype(float))]
    if finite[loss].nunique() < LEAST_LOSSES:
        return table
    slope, level = np.polyfit(finite[loss].astype(float), finite[accuracy].astype(float), 1)
    return table.assign(**{accuracy: np.clip(level + slope * table[loss].astype(float), 0, 1)})


def agreement(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """Return Kendall's tau between estimates and trials, and their mean difference, for each objective that is no cost.

    A trial is compared with the row of its widths, and of its `alpha_init` if the table varies it. Complete trials
    with finite objectives count.

    Args:
        study: The study.
        table: Its `widths.parquet`.

    Returns:
        Rows of `objective`, `trials` (how many were compared), `tau`, `low` and `high`: tau-b and its 90 % interval by
        a bootstrap over trials; `gain` and `gain_se`: the mean of trial less estimate, and its standard error over
        trials. There are no rows of fewer than `LEAST` trials.
    """
    widths = [n for n in map(str, table) if n.startswith("params.") and is_width(n.removeprefix("params."))]
    varied = [*widths, ALPHA] if ALPHA in table and table[ALPHA].nunique() > 1 else widths
    if not widths or any(name not in study.trials for name in varied):
        return pd.DataFrame(columns=COLUMNS)
    complete = study.trials[study.trials["state"] == "complete"]
    both = complete.merge(by_loss(table).drop_duplicates(varied), on=varied, suffixes=("", " of table"))
    rows = []
    for name in study.objectives:
        columns = [f"metrics.{name}", f"metrics.{name} of table"]
        if name in COSTS or any(column not in both for column in columns):
            continue
        values = both[columns].replace([np.inf, -np.inf], np.nan).dropna().to_numpy(dtype=float)
        if len(values) >= LEAST:
            more = values[:, 0] - values[:, 1]
            gain = {"gain": more.mean(), "gain_se": more.std(ddof=1) / len(more) ** 0.5}
            rows.append({"objective": name, "trials": len(values), **_tau(values), **gain})
    return pd.DataFrame(rows, columns=COLUMNS)


def _tau(values: np.ndarray) -> dict[str, float]:
    from scipy.stats import kendalltau  # half a second, which the driver of a study need not spend

    random = np.random.default_rng(0)
    resampled = [
        kendalltau(*values[random.integers(len(values), size=len(values))].T).statistic
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(resampled, [0.05, 0.95]) if np.isfinite(resampled).any() else (np.nan, np.nan)
    return {"tau": float(kendalltau(*values.T).statistic), "low": float(low), "high": float(high)}
