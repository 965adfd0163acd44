"""What speaks against the faithfulness of a trial, though its score may be high."""

from collections.abc import Hashable

import numpy as np
import pandas as pd

REMOVALS = ("other_image", "blur", "road", "mean", "uniform", "black")
"""The removals that a trial's maps are scored by, each in the column `metrics.faithfulness.<removal>`."""

SURE = 2.0
"""Standard errors by which a score has to be above or below the median."""

EDGE = "no better than an edge detector"


def doubts(trials: pd.DataFrame) -> pd.Series:
    """Return a sentence without a full stop about each trial of which there is a doubt (index: that of `trials`).

    - "no better than an edge detector": `faithfulness.over_edge`, the score above that of the image's edges, is not
      larger than its standard error.
    - "above the median under A, below it under B": the search gained by one removal what another does not confirm.
      Compared are the complete trials; a score counts from `SURE` of its standard errors on.

    Args:
        trials: One row per trial: state, metrics.*.
    """
    complete = trials[trials["state"] == "complete"]
    edges, sides = _no_better_than_edges(complete), _two_sided(complete)
    marked = complete.index[complete.index.isin([*edges, *sides])]
    sentences = [" and ".join(found[row] for found in (edges, sides) if row in found) for row in marked]
    return pd.Series(sentences, index=marked, dtype=object)


def _no_better_than_edges(trials: pd.DataFrame) -> dict[Hashable, str]:
    column = "metrics.faithfulness.over_edge"
    if column not in trials or f"{column}_se" not in trials:
        return {}
    return dict.fromkeys(trials.index[trials[column] <= trials[f"{column}_se"]], EDGE)


def _two_sided(trials: pd.DataFrame) -> dict[Hashable, str]:
    """Return which removals put a trial above the median and which below, of those of which both exist."""
    names = [name for name in REMOVALS if f"metrics.faithfulness.{name}_se" in trials]
    scores = trials[[f"metrics.faithfulness.{name}" for name in names]].astype(float)
    errors = trials[[f"metrics.faithfulness.{name}_se" for name in names]].to_numpy(float)
    apart = (scores - scores.median()).to_numpy()
    above, below = apart > SURE * errors, apart < -SURE * errors
    both = np.flatnonzero(above.any(axis=1) & below.any(axis=1))
    return {
        row: f"above the median under {_listed(names, up)}, below it under {_listed(names, down)}"
        for row, up, down in zip(trials.index[both], above[both], below[both], strict=True)
    }


def _listed(names: list[str], which: np.ndarray) -> str:
    return " and ".join(name for name, taken in zip(names, which, strict=True) if taken)
