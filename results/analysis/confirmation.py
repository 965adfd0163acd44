"""What `study.confirm` found on the test split: spread over seeds, membership of the front, luck."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import stdtrit

from results.analysis import fronts
from results.analysis.studies import Study

SIMULATIONS = 4000
"""Simulated fronts behind the probability of being non-dominated: its standard error is at most 0.008."""


def confirmed(study: Study) -> pd.DataFrame:
    """Return validation beside test, one row per confirmed trial, way of training and objective.

    trial, refit, seeds (their number), objective, validation (what the search saw), then on the test split
    mean, sd, low and high (95 % interval of the mean by Student's t; NaN for one seed), and `lucky`: the
    validation figure is better than the 95 % prediction interval of one more seed on the other images, so
    chance helped to choose the trial. It is false where a standard error of the images is not recorded.
    """
    rows = []
    for (trial, refit), group in study.confirmations.groupby(["trial", "refit"]):
        for name, direction in study.directions.items():
            values = group.get(f"metrics.{name}", pd.Series(dtype=float)).dropna()
            if values.empty:
                continue
            seeds, mean, sd = len(values), values.mean(), values.std()
            t = stdtrit(seeds - 1, 0.975)
            row = study.trials[study.trials["number"] == trial].iloc[0]
            seen = row[f"metrics.{name}"]
            better = seen - mean if direction == "max" else mean - seen
            test_error = np.mean(group.get(f"metrics.{name}_se", np.nan))  # every seed met the same images
            margin = _margin(sd, seeds, standard_error(row, name), float(test_error))
            rows.append(
                {
                    "trial": trial,
                    "refit": refit,
                    "seeds": seeds,
                    "objective": name,
                    "validation": seen,
                    "mean": mean,
                    "sd": sd,
                    "low": mean - t * sd / np.sqrt(seeds),
                    "high": mean + t * sd / np.sqrt(seeds),
                    "lucky": bool(better > margin),
                }
            )
    columns = ["trial", "refit", "seeds", "objective", "validation", "mean", "sd", "low", "high", "lucky"]
    return pd.DataFrame(rows, columns=columns)


def _margin(sd: float, seeds: int, *errors: float) -> float:
    """Return how far validation may exceed the test mean: the 95 % prediction of their difference.

    The noise of the seed, known from `seeds` replicates, and the standard errors of both image sets are taken as
    independent, though a spread over seeds has some of the images' noise in it. Degrees of freedom by Welch and
    Satterthwaite.
    """
    noise = sd**2 * (1 + 1 / seeds)
    variance = noise + sum(error**2 for error in errors)
    freedom = (seeds - 1) * (variance / max(noise, 1e-12)) ** 2  # seeds may agree to the image
    return float(stdtrit(freedom, 0.975) * np.sqrt(variance))


def probability_nondominated(study: Study, seed: int = 0) -> pd.Series:
    """Return how probable it is that each confirmed trial is non-dominated among them; index (trial, refit).

    The true means are sampled from their Student's t posteriors (flat prior, objectives and trials
    independent), trials trained alike are compared, and the share of samples is returned. NaN for a trial with
    an objective of fewer than two seeds, which has no measured noise and is compared with none. One front of
    the confirmed trials per simulation.
    """
    noise = np.random.default_rng(seed)
    table = confirmed(study)
    probabilities = pd.Series(
        np.nan, index=pd.MultiIndex.from_frame(table[["trial", "refit"]].drop_duplicates())
    )
    measured = (
        table[table["seeds"] > 1]
        .groupby(["trial", "refit"])
        .filter(lambda rows: len(rows) == len(study.directions))
    )
    for _, alike in measured.groupby("refit"):
        wide = alike.pivot(index=["trial", "refit"], columns="objective", values=["mean", "sd", "seeds"])
        mean, sd, seeds = (
            wide[part][list(study.directions)].to_numpy(float) for part in ("mean", "sd", "seeds")
        )
        signs = [-1.0 if direction == "max" else 1.0 for direction in study.directions.values()]
        samples = noise.standard_t(seeds - 1, size=(SIMULATIONS, *mean.shape))
        probabilities[wide.index] = _share_nondominated(signs * mean + samples * sd / np.sqrt(seeds))
    return probabilities


def _share_nondominated(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return in which share of the samples (d, c, m) each of c trials is non-dominated, (c,)."""
    return np.asarray(np.mean([fronts.nondominated(points) for points in samples], axis=0))


def standard_error(trial: pd.Series, name: str) -> float:
    """Return the standard error of a metric of `trial` that its images leave, NaN where none was recorded."""
    return float(trial.get(f"metrics.{name}_se", np.nan))
