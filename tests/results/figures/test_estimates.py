"""The width table beside the trials."""

import pandas as pd

import results
from results import Study
from results.figures.estimates import ESTIMATE, estimates


def test_estimates_lie_under_the_trials_and_are_called_so(study: Study) -> None:
    table = pd.DataFrame({"metrics.flops": [1e6, 2e6], "metrics.accuracy": [0.5, 0.6]})
    made = estimates(table, results.shown_trials(study), "flops", "accuracy")
    first, *others = made.data
    assert (first.name, list(first.x), list(first.y)) == (ESTIMATE, [1e6, 2e6], [0.5, 0.6])
    assert first.customdata is None  # no trial to pin
    assert others
