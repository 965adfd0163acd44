"""What one setting costs: differences of trials that differ in nothing else, pooled over configurations."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from results.analysis import fronts
from results.analysis.doubts import REMOVALS
from results.analysis.metrics import COST_METRICS, metric_names
from results.analysis.studies import Study
from study_common.errors import UserError, check_known

COLUMNS = ["value", "against", "metric", "difference", "low", "high", "pairs", "configurations"]


def paired_differences(
    studies: Sequence[Study], parameter: str, metrics: Sequence[str] = (), against: Any = None
) -> pd.DataFrame:
    """Return what each value of a searched parameter gains over one value, all else equal, seed included.

    A pair are two complete trials of equal seed and equal settings but `parameter`; its configuration is those
    settings. The difference is the mean over all pairs, and its interval (95 %, Student's t) allows for configurations
    that react differently: the pairs of one configuration count as one cluster (Liang and Zeger 1986). With a single
    configuration the pairs themselves are independent. O(n log n).

    Args:
        studies: Their trials are taken together; the images and the settings of a study belong to a configuration.
        parameter: A searched parameter of each, such as "bits.fc1".
        metrics: What is compared; by default the objectives that are no costs, and faithfulness by each removal.
        against: The value that the others are compared with; by default the largest.

    Returns:
        One row per value and metric: value, against, metric, difference, low, high, pairs, configurations. The interval
        is NaN where there is one pair, or one pair beside another configuration's.

    Raises:
        UserError: `parameter` is not searched, or no trial has the value `against`.
    """
    trials = pd.concat([_keyed(study, parameter) for study in studies], ignore_index=True)
    trials["value"] = trials[f"params.{parameter}"]
    values = sorted(trials["value"].dropna().unique())
    against = values[-1] if against is None and values else against
    if against not in values:
        raise UserError(
            f"no complete trial has {parameter} = {against}; it has {', '.join(map(str, values))}"
        )
    names = list(metrics) or _default_metrics(studies[0], trials)
    check_known("metric", names, metric_names(trials))
    columns = [f"metrics.{name}" for name in names]
    drawn = trials.groupby(["value", "configuration", "seed"], dropna=False)[columns].mean()
    rows = []
    for value in (value for value in values if value != against):
        apart = (drawn.loc[value] - drawn.loc[against]).dropna(how="all")
        for name, column in zip(names, columns, strict=True):
            rows.append((value, against, name, *_pooled(apart[column].dropna())))
    return pd.DataFrame(rows, columns=COLUMNS)


def _keyed(study: Study, parameter: str) -> pd.DataFrame:
    """Return the complete trials with `configuration`, all that decides a trial but `parameter` and the seed."""
    check_known("parameter", [parameter], study.distributions)
    rows = study.trials[fronts.eligible(study.trials, study.directions)]
    asked = study.request.get("request", {})
    same = {name: asked.get(name) for name in ("model", "preset", "epochs", "init")}
    same["images"] = study.request.get("data", {}).get("fingerprint")
    fixed = {name: value for name, value in study.request.get("fixed", {}).items() if name != "seed"}
    others = [f"params.{name}" for name in study.distributions if name != parameter]
    keys = [
        json.dumps([same, fixed, row], sort_keys=True, default=str) for row in rows[others].to_dict("records")
    ]
    return rows.assign(configuration=keys)


def _default_metrics(study: Study, trials: pd.DataFrame) -> list[str]:
    scores = [name for name in study.objectives if name not in COST_METRICS]
    known = metric_names(trials)
    parts = [name for removal in REMOVALS if (name := f"faithfulness.{removal}") in known]
    return list(dict.fromkeys([*scores, *parts]))


def _pooled(apart: pd.Series) -> tuple[float, float, float, int, int]:
    """Return mean, low, high, pairs and configurations of differences with the level `configuration`."""
    sums = (apart - apart.mean()).groupby(level="configuration").sum()
    pairs, clusters = len(apart), len(sums)
    if clusters > 1:
        freedom, variance = clusters - 1, (sums**2).sum() / pairs**2 * clusters / (clusters - 1)
    else:
        freedom, variance = pairs - 1, apart.var() / pairs if pairs > 1 else np.nan
    half = stdtrit(freedom, 0.975) * np.sqrt(variance) if freedom > 0 else np.nan
    middle = apart.mean()
    return middle, middle - half, middle + half, pairs, clusters
