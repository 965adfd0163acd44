"""The cards of the recommended trials, on the first screen of the report: their text and their figures."""

import math
from typing import Any

import pandas as pd
from scipy.special import ndtri

from results.analysis.classes import class_metrics
from results.analysis.configurations import export_command, layer_widths
from results.analysis.doubts import doubts
from results.analysis.formatting import format_metric
from results.analysis.metrics import COST_METRICS
from results.analysis.run_files import RunFiles
from results.analysis.selection import cost_metric
from results.analysis.studies import Study

REASONS = {
    "Most accurate": "The highest validation accuracy on the front; among equals the one of the lowest {cost}.",
    "Knee": "The closest to the best values of all objectives at once, each scaled to its range over the front.",
    "Cheapest within 1 point": "The lowest {cost} on the front among trials at most one point below the best accuracy.",
}
"""Why a trial is recommended, by the name of the recommendation."""

METRICS = ("accuracy", "flops", "bops", "size_bytes", "faithfulness", "saliency_inside", "pointing_game")
"""Metrics on a card besides the objectives."""

MAX_CLASSES = 4
"""Classes up to which a card shows the recall of each."""

Z95 = float(ndtri(0.975))


def cards(study: Study, tests: pd.DataFrame, files: RunFiles) -> list[dict[str, Any]]:
    """Return what the template shows of each recommended trial.

    Args:
        study: What is reported.
        tests: `results.confirmed` of it.
        files: The reader of configurations.
    """
    doubt = doubts(study.configurations)
    return [
        {
            "name": name,
            "reason": REASONS[name].format(cost=cost_metric(study.directions)),
            "number": int(trial["number"]),
            "draws": int(trial["draws"]),
            "probability": format_probability(trial["p_front"]),
            "doubt": doubt.get(trial.name, ""),
            "figures": [*_validation(study, trial), *_recall(trial, files), *_test(trial, tests)],
            "never_found": never_found(files.confusion(int(trial["number"]))),
            "widths": layer_widths(study, trial, files),
            "command": export_command(study, trial),
        }
        for name, trial in study.recommend().items()
    ]


def never_found(matrix: pd.DataFrame | None) -> list[tuple[str, int]]:
    """Return each class of which no image is recognised, with its number of images; from a confusion matrix.

    >>> never_found(pd.DataFrame([[3, 1], [2, 0]], index=["normal", "polyp"]))
    [('polyp', 2)]
    """
    if matrix is None:
        return []
    rows = class_metrics(matrix)
    missed = rows[(rows["sensitivity"] == 0) & (rows["images"] > 0)]
    return [(str(name), int(images)) for name, images in missed["images"].items()]


def half_width(trial: pd.Series, metric: str) -> float:
    """Return the half width of the 95 % interval of a metric, NaN where it has none.

    It covers the errors of the images and, as far as it is known, of the seed; for a metric that is not an objective
    that of the images alone.
    """
    images = trial.get(f"metrics.{metric}_se", math.nan)
    error = float(trial.get(f"error.{metric}", images))
    return Z95 * error if error > 0 else math.nan


def format_probability(probability: float) -> str:
    """Write a probability with two digits.

    >>> format_probability(0.8734), format_probability(0.9999), format_probability(float("nan"))
    ('0.87', '> 0.99', 'not known')
    """
    if math.isnan(probability):
        return "not known"
    if probability in (0.0, 1.0) or 0.01 <= probability <= 0.99:
        return f"{probability:.2f}"
    return "> 0.99" if probability > 0.5 else "< 0.01"


def _validation(study: Study, trial: pd.Series) -> list[tuple[str, str, str]]:
    """Return name, value and error of each metric on the validation split."""
    return [
        (name, *_with_error(name, trial[f"metrics.{name}"], half_width(trial, name)))
        for name in dict.fromkeys([*METRICS, *study.objectives])
        if f"metrics.{name}" in trial
    ]


def _recall(trial: pd.Series, files: RunFiles) -> list[tuple[str, str, str]]:
    """Return the recall of each class, of many classes only of the one that is found least."""
    matrix = files.confusion(int(trial["number"]))
    if matrix is None:
        return []
    rows = class_metrics(matrix).dropna(subset="sensitivity")
    if few := len(rows) > MAX_CLASSES:
        rows = rows.nsmallest(1, "sensitivity")
    return [
        (
            f"{'lowest ' * few}recall: {name}",
            format_metric("sensitivity", row["sensitivity"]),
            f"of {row['images']:.0f} images",
        )
        for name, row in rows.iterrows()
    ]


def _test(trial: pd.Series, tests: pd.DataFrame) -> list[tuple[str, str, str]]:
    """Return the same of what `study.confirm` measured on the test split."""
    mine = tests[(tests["trial"] == trial["number"]) & ~tests["objective"].isin(COST_METRICS)]
    return [
        (
            f"{test.objective}, test{' after refit' if test.refit else ''}",
            *_with_error(str(test.objective), test.mean, test.high - test.mean),
        )
        for test in mine.itertuples()
    ]


def _with_error(metric: str, value: float, error: float) -> tuple[str, str]:
    return format_metric(metric, value), f"± {format_metric(metric, error)}" if math.isfinite(error) else ""
