"""What is said against the faithfulness of a trial."""

import numpy as np
import pandas as pd

from results.analysis.doubts import EDGE, doubts


def frame(**columns):
    """Complete trials; `over_edge=[...]` is their column `metrics.faithfulness.over_edge`."""
    trials = pd.DataFrame({f"metrics.faithfulness.{name}": values for name, values in columns.items()})
    return trials.assign(state="complete").set_index(trials.index + 10)


def test_a_map_must_beat_the_edges_by_its_standard_error():
    trials = frame(over_edge=[0.05, 0.049, -0.2, np.nan], over_edge_se=[0.049, 0.05, 0.01, 0.01])
    assert doubts(trials).to_dict() == {11: EDGE, 12: EDGE}


def test_what_one_removal_gains_and_another_loses_is_named():
    trials = frame(
        other_image=[0.3, 0.3, 0.3, 0.6, 0.6], other_image_se=0.05,
        black=[0.1, 0.1, 0.1, -0.2, 0.05], black_se=0.05,
        blur=[0.4, 0.4, 0.4, 0.4, 0.4], blur_se=0.05,
    )  # fmt: skip
    assert doubts(trials).to_dict() == {13: "above the median under other_image, below it under black"}


def test_both_doubts_are_told():
    trials = frame(
        other_image=[0.0, 0.0, 1.0], other_image_se=0.1, road=[0.0, 0.0, -1.0], road_se=0.1,
        over_edge=[1.0, 1.0, 0.0], over_edge_se=0.1,
    )  # fmt: skip
    assert doubts(trials)[12] == f"{EDGE} and above the median under other_image, below it under road"


def test_only_complete_trials_are_judged_and_scores_may_be_missing():
    trials = frame(over_edge=[-1.0, -1.0], over_edge_se=0.1, mean=[np.nan, np.nan], mean_se=np.nan)
    trials["state"] = ["stopped", "complete"]
    assert doubts(trials).to_dict() == {11: EDGE}
    assert doubts(trials[["state"]]).empty
    assert doubts(trials.iloc[:0]).empty
