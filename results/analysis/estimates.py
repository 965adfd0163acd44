"""The width table of a study that began with a shared model, and how well its estimates rank the trials."""

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from results.analysis.studies import Study
from search_spaces.bits import is_width
from study_common.objectives import COSTS

RESAMPLES = 1000
LEAST = 5
"""Trials that a rank correlation takes."""


def agreement(study: Study, table: pd.DataFrame) -> pd.DataFrame:
    """Return Kendall's tau between estimates and trials, for each objective that is no cost.

    A trial is compared with the row of its widths, whatever its other parameters. Complete trials with finite
    objectives count.

    Args:
        study: The study.
        table: Its `widths.parquet`.

    Returns:
        Rows of `objective`, `trials` (how many were compared), `tau`, `low` and `high`: tau-b and its 90 % interval by
        a bootstrap over trials. There are no rows of fewer than `LEAST` trials.
    """
    widths = [n for n in map(str, table) if n.startswith("params.") and is_width(n.removeprefix("params."))]
    if not widths or any(name not in study.trials for name in widths):
        return pd.DataFrame(columns=["objective", "trials", "tau", "low", "high"])
    complete = study.trials[study.trials["state"] == "complete"]
    both = complete.merge(table.drop_duplicates(widths), on=widths, suffixes=("", " of table"))
    rows = []
    for name in study.objectives:
        columns = [f"metrics.{name}", f"metrics.{name} of table"]
        if name in COSTS or any(column not in both for column in columns):
            continue
        values = both[columns].replace([np.inf, -np.inf], np.nan).dropna().to_numpy(dtype=float)
        if len(values) >= LEAST:
            rows.append({"objective": name, "trials": len(values), **_tau(values)})
    return pd.DataFrame(rows, columns=["objective", "trials", "tau", "low", "high"])


def _tau(values: np.ndarray) -> dict[str, float]:
    random = np.random.default_rng(0)
    resampled = [
        kendalltau(*values[random.integers(len(values), size=len(values))].T).statistic
        for _ in range(RESAMPLES)
    ]
    low, high = np.nanquantile(resampled, [0.05, 0.95]) if np.isfinite(resampled).any() else (np.nan, np.nan)
    return {"tau": float(kendalltau(*values.T).statistic), "low": float(low), "high": float(high)}
