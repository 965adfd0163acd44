"""Figures and studies in words: how a metric is written, and a study in a sentence."""

import math

import pandas as pd

from results.analysis import fronts, selection
from results.analysis.studies import Study
from study_common import layout

SHARES = ("accuracy", "sensitivity", "specificity")
"""Metrics that are written as percentages."""


def tell(metric: str, value: float) -> str:
    """Write the value of ``metric`` for reading, with about four digits.

    >>> tell("accuracy", 0.8734), tell("flops", 1_856_648), tell("loss", 0.41237), tell("kl", float("nan"))
    ('87.34 %', '1.857 M', '0.4124', '-')
    """
    if not math.isfinite(value):
        return "-"
    if metric in SHARES:
        return f"{100 * value:.2f} %"
    if metric in selection.COSTS:
        for factor, prefix in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
            if value >= factor:
                return f"{value / factor:.4g}{prefix}"
    return f"{value:.4g}"


def tell_duration(seconds: float) -> str:
    """Write a duration for reading.

    >>> tell_duration(48), tell_duration(252), tell_duration(7260)
    ('48 s', '4 min 12 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def in_a_sentence(study: Study) -> str:
    """Say what the study searched, how far it came and what it found."""
    request, trials = study.request.get("request", {}), study.trials
    searched = " on ".join(str(request[key]) for key in ("model", "dataset") if key in request)
    how = ", ".join(f"{key} {request[key]}" for key in ("sampler", "scheduler") if key in request)
    aims = " and ".join(
        f"{'more' if way == 'max' else 'less'} {name}" for name, way in study.directions.items()
    )
    states = trials["state"].value_counts()
    words = dict.fromkeys(layout.STATES.values())
    counts = ", ".join(f"{states[word]:,} {word}" for word in words if word in states)
    started, finished = study.spans["started"].min(), study.spans["finished"].max()
    took = f" in {tell_duration((finished - started).total_seconds())}" if pd.notna(finished) else ""
    front = fronts.front(trials, study.directions)
    share = 100 * fronts.hypervolume(front, study.objectives)
    return (
        f"A search{f' of {searched}' if searched else ''} for {aims}{f' ({how})' if how else ''}: "
        f"{len(trials):,} trials{f' ({counts})' if counts else ''}{took}. Its front of {len(front):,} "
        f"dominates {share:.1f} % of the box between the references and the ideals (the hypervolume)."
    )
