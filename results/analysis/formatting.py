"""How figures are written for reading: metrics and durations."""

import math

from results.analysis.metrics import COST_METRICS

PERCENTAGES = ("accuracy", "sensitivity", "specificity")
"""Metrics that are written as percentages."""


def format_metric(metric: str, value: float) -> str:
    """Write the value of `metric`, with about four digits.

    >>> format_metric("accuracy", 0.8734), format_metric("flops", 1_856_648)
    ('87.34 %', '1.857 M')
    >>> format_metric("loss", 0.41237), format_metric("kl", float("nan"))
    ('0.4124', '-')
    """
    if not math.isfinite(value):
        return "-"
    if metric in PERCENTAGES:
        return f"{100 * value:.2f} %"
    if metric in COST_METRICS:
        for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
            if value >= factor:
                return f"{value / factor:.4g}{prefix}"
    return f"{value:.4g}"


def format_duration(seconds: float) -> str:
    """Write a duration.

    >>> format_duration(48), format_duration(252), format_duration(7260)
    ('48 s', '4 min 12 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
