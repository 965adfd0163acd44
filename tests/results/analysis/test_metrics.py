"""What is known of metrics by their names."""

import pandas as pd
import pytest

from results.analysis.metrics import COST_METRICS, LOWER_IS_BETTER, metric_column, metric_names
from study_common.errors import UserError
from study_common.objectives import COSTS

TRIALS = pd.DataFrame(
    {"number": [0], "params.loss": [1.0], "metrics.loss": [2.0], "metrics.alpha.fc1": [3.0]}
)


def test_metrics_are_the_columns_with_their_prefix_and_may_have_dots():
    assert metric_names(TRIALS) == ["loss", "alpha.fc1"]


def test_a_metric_is_not_confused_with_a_parameter_of_its_name():
    assert metric_column(TRIALS, "loss").to_list() == [2.0]


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(UserError, match=r"unknown metric 'alpha.fc2'; the nearest is 'alpha.fc1'"):
        metric_column(TRIALS, "alpha.fc2")


def test_every_cost_is_to_be_lowered_and_no_quality_is():
    assert {*COSTS, "macs"} == set(COST_METRICS)
    assert set(COST_METRICS) < LOWER_IS_BETTER
    assert not {"accuracy", "auroc", "sensitivity", "specificity", "faithfulness"} & LOWER_IS_BETTER
