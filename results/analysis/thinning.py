"""Which trials the report shows, and the role of each of them.

A figure of 100,000 points tells less than one of 2,000 and does not scroll. The front stays complete up to
`MAX_FINAL` trials, the others are thinned to a selection that shows the same picture; `trials.parquet` has them all.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from results.analysis import fronts
from results.analysis.doubts import doubts
from results.analysis.selection import LIKELY
from results.analysis.studies import Study

MAX_FINAL = 2000
"""Trials shown of the front, and of the dominated ones."""

MAX_OTHER = 300
"""Trials shown of each other role."""


def shown_trials(study: Study, always: Iterable[int] = ()) -> pd.DataFrame:
    """Return the trials to show, by number, with the columns of `study.trials` and of `study.configurations`.

    Added are `role`, `likely`: whether the probability of being on the front is at least `LIKELY`, or not known, and
    `doubt`: what `doubts` says of it, if anything.

    The role is front, dominated, replicate, stopped, failed, running, or excluded: complete, but infeasible or with
    an objective that is not finite. Of a configuration with several replicates the first trial represents all, with
    their means; the others have the role replicate. Trials whose number is in `always` stay, however many there
    are.
    """
    trials, configurations = study.trials.copy(), study.configurations
    trials[configurations.columns.difference(trials.columns, sort=False)] = np.nan
    trials.loc[configurations.index, configurations.columns] = configurations
    trials.insert(0, "role", trials["state"].where(trials["state"] != "complete", "excluded"))
    trials.loc[fronts.eligible(trials, study.directions), "role"] = "replicate"
    trials.loc[configurations.index, "role"] = "dominated"
    trials.loc[study.front().index, "role"] = "front"
    trials["doubt"] = doubts(configurations).reindex(trials.index)
    trials["likely"] = ~(trials["p_front"] < LIKELY)
    kept = set(trials.index[trials["number"].isin(list(always))])
    for role, rows in trials.groupby("role"):
        if role in ("front", "dominated"):
            kept.update(rows.index[fronts.thin(fronts.minimised(rows, study.directions), MAX_FINAL)])
        else:
            kept.update(spread_evenly(rows, MAX_OTHER).index)
    return trials.loc[sorted(kept)]


def spread_evenly(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most `most` of `rows`, evenly spread."""
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int))]
