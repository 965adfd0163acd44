"""The sentence at the top of the report: what the study searched, how far it came and what it found."""

import pandas as pd

from results.analysis.formatting import format_duration
from results.analysis.studies import Study
from study_common import layout


def summary(study: Study) -> str:
    """Return the sentence."""
    front = study.front()
    return (
        f"{_search(study)}: {_trials(study)}. Its front of {len(front):,} dominates "
        f"{100 * study.hypervolume():.1f} % of the box between the references and the ideals (the hypervolume)."
    )


def _search(study: Study) -> str:
    request = study.request.get("request", {})
    subject = " on ".join(str(request[key]) for key in ("model", "dataset") if key in request)
    method = ", ".join(f"{key} {request[key]}" for key in ("sampler", "scheduler") if key in request)
    goals = " and ".join(
        f"{'more' if direction == 'max' else 'less'} {name}" for name, direction in study.directions.items()
    )
    return f"A search{f' of {subject}' if subject else ''} for {goals}{f' ({method})' if method else ''}"


def _trials(study: Study) -> str:
    states = study.trials["state"].value_counts()
    counts = [
        f"{states[state]:,} {state}" for state in dict.fromkeys(layout.STATES.values()) if state in states
    ]
    started, finished = study.spans["started"].min(), study.spans["finished"].max()
    took = f" in {format_duration((finished - started).total_seconds())}" if pd.notna(finished) else ""
    by_state = f" ({', '.join(counts)})" if counts else ""
    return f"{len(study.trials):,} trials{by_state}{took}"
