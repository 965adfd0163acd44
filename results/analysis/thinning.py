"""Which trials the report draws and tabulates, and the part each of them plays.

A figure of 100,000 points tells less than one of 2,000 and does not scroll. The front stays whole up to
``MOST`` trials, the others are thinned to as many that show the same picture; ``trials.parquet`` has them
all.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from results.analysis import fronts
from results.analysis.studies import Study

MOST = 2000
"""Trials drawn of the front, and of the dominated ones."""
MOST_UNFINISHED = 300
"""Trials drawn of each other role."""


def drawn(study: Study, always: Iterable[int] = ()) -> pd.DataFrame:
    """Return the rows of ``study.trials`` to draw, by number, with a column ``role`` before.

    That is front, dominated, stopped, failed, running, or excluded: complete, but infeasible or with an
    objective that is not finite. Trials whose number is in ``always`` stay whatever their number.
    """
    frame = study.trials.copy()
    frame.insert(0, "role", frame["state"].where(frame["state"] != "complete", "excluded"))
    frame.loc[fronts.eligible(frame, study.directions), "role"] = "dominated"
    frame.loc[fronts.front(frame, study.directions).index, "role"] = "front"
    kept = set(frame.index[frame["number"].isin(list(always))])
    for role, rows in frame.groupby("role"):
        if role in ("front", "dominated"):
            kept.update(rows.index[fronts.thin(fronts.costs(rows, study.directions), MOST)])
        else:
            kept.update(evenly(rows, MOST_UNFINISHED).index)
    return frame.loc[sorted(kept)]


def evenly(rows: pd.DataFrame, most: int) -> pd.DataFrame:
    """Return at most ``most`` of ``rows``, evenly spread."""
    return rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(len(rows), most)).astype(int))]
