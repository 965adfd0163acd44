"""How much each parameter matters, and what halving the width of a layer costs."""

import warnings
from collections.abc import Mapping

import numpy as np
import optuna
import pandas as pd
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution
from scipy.special import stdtrit

from results.analysis import fronts
from results.analysis.configurations import searched_widths
from results.analysis.metrics import COST_METRICS
from results.analysis.studies import Study

MAX_TRIALS = 1000
"""Trials that importances are computed from; of a longer study every second, every fourth and so on, by number."""

MIN_TRIALS = 30
"""Trials below which an importance would be noise.

Of nine parameters, the only one that mattered came first in 21 of 40 studies of 20 trials, 35 of 30, 40 of 40.
"""
FLOAT_BITS = 32
"""The width of a layer that is not quantised."""

FRONT_COLUMN = "the front"
"""Column of the importance for reaching the front, no objective preferred."""


def importances(study: Study) -> pd.DataFrame:
    """Return how much each searched parameter has to do with reaching the best tenth of the trials.

    Index: parameter; columns: the objectives that vary and `FRONT_COLUMN`, each summing to 1. PED-ANOVA
    (Watanabe et al. 2023) as Optuna computes it, conditional parameters included. Empty below
    `MIN_TRIALS` complete trials.
    """
    rows = study.trials[fronts.eligible(study.trials, study.directions)]
    step = 1
    while (rows["number"] % step == 0).sum() > MAX_TRIALS:
        step *= 2
    rows = rows[rows["number"] % step == 0]
    if len(rows) < MIN_TRIALS or not study.distributions:
        return pd.DataFrame()
    searched = [f"params.{name}" for name in study.distributions]
    measured = [f"metrics.{name}" for name in study.directions]
    return study.memory.of("importances", rows[searched + measured], lambda: _importances(study, rows))


def _importances(study: Study, rows: pd.DataFrame) -> pd.DataFrame:
    minimised = fronts.minimised(rows, study.directions)
    searched = _study(study, rows, minimised)
    varying = [position for position, column in enumerate(minimised.T) if np.ptp(column) > 0]
    names = list(study.directions)
    shares = {names[position]: _shares(searched, position) for position in varying}
    if len(shares) > 1:
        shares[FRONT_COLUMN] = _shares(searched, None)
    return pd.DataFrame(shares, index=list(study.distributions)).fillna(0.0)


def width_effects(study: Study) -> pd.DataFrame:
    """Return what halving the width of one layer does to each objective but costs, other widths equal.

    One row per width parameter and objective: parameter, objective, effect, low, high (95 % interval by
    Student's t). Least squares of the objective on log2 of every searched width, over the n complete
    trials in which no width is 32: a float trial lies so far out that it alone would decide all slopes.
    O(n w^2) for w widths. Empty where n is too small to tell, the widths were not searched, or two of them
    always changed together.
    """
    rows = study.trials[fronts.eligible(study.trials, study.directions)]
    widths = rows[[f"params.{name}" for name in searched_widths(study)]]
    rows = rows[(widths != FLOAT_BITS).all(axis=1)]
    columns = {name: rows[f"params.{name}"] for name in searched_widths(study)}
    names = [name for name, values in columns.items() if values.nunique() > 1 and values.notna().all()]
    objectives = [name for name in study.objectives if name not in COST_METRICS]
    halvings = -np.log2(rows[[f"params.{name}" for name in names]].to_numpy(float))
    design = np.column_stack([np.ones(len(rows)), halvings])
    freedom = len(rows) - design.shape[1]
    found = []
    if names and freedom > design.shape[1] and np.linalg.matrix_rank(design) == design.shape[1]:
        inverse = np.linalg.inv(design.T @ design)
        for objective in objectives:
            values = rows[f"metrics.{objective}"].to_numpy()
            if np.ptp(values) == 0:
                continue
            slopes = inverse @ design.T @ values
            noise = np.sum((values - design @ slopes) ** 2) / freedom
            half = stdtrit(freedom, 0.975) * np.sqrt(noise * np.diag(inverse))
            for name, slope, h in zip(names, slopes[1:], half[1:], strict=True):
                found.append((name, objective, slope, slope - h, slope + h))
    return pd.DataFrame(found, columns=["parameter", "objective", "effect", "low", "high"])


def _study(study: Study, rows: pd.DataFrame, minimised: NDArray[np.float64]) -> optuna.Study:
    """Return the trials `rows` as an Optuna study in memory that minimises `minimised` (n, m)."""
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # no news to the user
    try:
        copy = optuna.create_study(directions=["minimize"] * minimised.shape[1])
    finally:
        optuna.logging.set_verbosity(level)
    for (_, row), values in zip(rows.iterrows(), minimised, strict=True):
        active = {name: row[f"params.{name}"] for name in study.distributions}
        params = {name: value for name, value in active.items() if not pd.isna(value)}
        distributions = {name: _as_loaded(study.distributions[name], value) for name, value in params.items()}
        copy.add_trial(
            optuna.trial.create_trial(params=params, distributions=distributions, values=values.tolist())
        )
    return copy


def _as_loaded(distribution: BaseDistribution, value: object) -> BaseDistribution:
    """Return `distribution` with choices as `results.load` gives them: text if of mixed types."""
    if isinstance(distribution, CategoricalDistribution) and isinstance(value, str):
        return CategoricalDistribution([str(choice) for choice in distribution.choices])
    return distribution


def _shares(study: optuna.Study, position: int | None) -> Mapping[str, float]:
    """Return the importance of each parameter for one objective, or for all objectives together."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "PedAnovaImportanceEvaluator computes the importances of params to achieve low"
        )
        target = None if position is None else lambda trial: trial.values[position]
        return optuna.importance.get_param_importances(study, target=target)
