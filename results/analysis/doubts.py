"""What speaks against the faithfulness of a trial, though its score may be high."""

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
    found = pd.DataFrame({"edge": _no_better_than_edges(complete), "sides": _two_sided(complete)})
    sentences = [" and ".join(filter(None, row)) for row in found.itertuples(index=False)]
    marked = pd.Series(sentences, index=complete.index, dtype=object)
    return marked[marked != ""]


def _no_better_than_edges(trials: pd.DataFrame) -> pd.Series:
    column = "metrics.faithfulness.over_edge"
    if column not in trials or f"{column}_se" not in trials:
        return pd.Series("", index=trials.index)
    return (trials[column] <= trials[f"{column}_se"]).map({True: EDGE, False: ""})


def _two_sided(trials: pd.DataFrame) -> pd.Series:
    """Return which removals put a trial above the median and which below, where both exist."""
    names = [name for name in REMOVALS if f"metrics.faithfulness.{name}_se" in trials]
    scores = trials[[f"metrics.faithfulness.{name}" for name in names]].astype(float)
    errors = trials[[f"metrics.faithfulness.{name}_se" for name in names]].to_numpy(float)
    apart = (scores - scores.median()).to_numpy()
    above, below = apart > SURE * errors, apart < -SURE * errors
    return pd.Series(
        [
            f"above the median under {_listed(names, up)}, below it under {_listed(names, down)}"
            if up.any() and down.any()
            else ""
            for up, down in zip(above, below, strict=True)
        ],
        index=trials.index,
        dtype=object,
    )


def _listed(names: list[str], which: np.ndarray) -> str:
    return " and ".join(name for name, taken in zip(names, which, strict=True) if taken)
