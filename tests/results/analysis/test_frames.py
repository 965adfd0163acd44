"""From rows of the record to frames: columns, types and times."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    distribution_to_json,
)

import results
from results.analysis.frames import intervals, params, spans, trials, with_metrics
from study_common.errors import UserError
from tests.results import sample


def test_columns_are_the_contract(study):
    names = list(study.trials)
    assert names[:3] == ["number", "state", "feasible"]
    assert names[-4:] == ["epochs", "seed", "duration_s", "error"]
    middle = names[3:-4]
    assert middle == [n for n in middle if n.startswith("params.")] + [
        n for n in middle if n.startswith("metrics.")
    ]
    assert {"metrics.accuracy", "metrics.flops", "metrics.faithfulness", "params.lambda1"} <= set(middle)


def test_conditional_mixed_and_integer_parameters(tmp_path):
    space = {
        "mask": CategoricalDistribution(["ratio", "threshold"]),
        "gamma": FloatDistribution(1e-3, 1e-1, log=True),
        "batch_size": IntDistribution(64, 256, step=64),
        "conditional": IntDistribution(1, 9),
        "flag": CategoricalDistribution([True, False]),
        "odd": CategoricalDistribution(["auto", 0.5]),
    }
    common = {"batch_size": 128, "flag": True, "odd": 0.5}
    drawn = [
        {"mask": "ratio", **common},
        {"mask": "threshold", "gamma": 0.01, "conditional": 3, **common, "odd": "auto"},
    ]
    metrics = {"accuracy": 0.5, "flops": 1.0, "faithfulness": 0.1}
    rows = [
        sample.trial(params, sample.result(k, [metrics], [1]), space=space) for k, params in enumerate(drawn)
    ]
    trials = results.load(sample.write_study(tmp_path / "s", rows)).trials
    assert trials["params.mask"].to_list() == ["ratio", "threshold"]
    assert np.isnan(trials["params.gamma"][0])
    assert trials["params.gamma"][1] == 0.01
    assert str(trials["params.batch_size"].dtype) == "int64"
    assert str(trials["params.conditional"].dtype) == "Int64"
    assert trials["params.conditional"].to_list() == [pd.NA, 3]
    assert trials["params.flag"].to_list() == [True, True]
    assert trials["params.odd"].to_list() == ["0.5", "auto"]
    trials.to_parquet(tmp_path / "trials.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "trials.parquet"), trials)


def test_infeasible_by_the_constraints_of_the_study(tmp_path):
    rows = list(sample.trials(12))
    bound = 1.5e6
    study = results.load(sample.write_study(tmp_path / "s", rows, constraints={"flops": bound}))
    assert study.trials["feasible"].to_list() == (study.trials["metrics.flops"] <= bound).to_list()
    assert 0 < study.trials["feasible"].sum() < 12
    assert (study.front()["metrics.flops"] <= bound).all()


WIDTH = CategoricalDistribution([2, 4, 8])


def rows(distribution, *values, results=None):
    """Rows of trials whose only parameter, x, has these stored values."""
    stored = {number: value for number, value in enumerate(values) if value is not None}
    return SimpleNamespace(
        states=dict.fromkeys(range(len(values)), "COMPLETE"),
        params={("x", distribution_to_json(distribution)): stored},
        results=results or {},
    )


def test_a_choice_is_stored_as_its_index_and_read_as_its_value():
    frame, distributions = params(rows(WIDTH, 2.0, 0.0))
    assert frame["params.x"].to_list() == [8, 2]
    assert distributions == {"x": WIDTH}


@pytest.mark.parametrize(
    ("distribution", "value"),
    [
        (WIDTH, 3.0),
        (WIDTH, -1.0),
        (WIDTH, 0.5),
        (IntDistribution(1, 9), 2.5),
        (IntDistribution(1, 9), 10.0),
        (FloatDistribution(0.1, 1.0), 1.01),
    ],
)
def test_a_stored_value_outside_of_its_distribution_is_rejected(distribution, value):
    with pytest.raises(UserError, match=f"{value} is outside of .*; copy the study again"):
        params(rows(distribution, value))


def test_a_damaged_distribution_names_its_parameter():
    damaged = rows(WIDTH, 1.0)
    damaged.params = {("x", '{"name": "nothing"'): {0: 1.0}}
    with pytest.raises(UserError, match="the distribution of x is damaged"):
        params(damaged)


def test_one_parameter_whose_distribution_changed_is_one_column():
    mixed = rows(IntDistribution(1, 9), 3.0, None)
    mixed.params["x", distribution_to_json(IntDistribution(1, 20))] = {1: 15.0}
    assert params(mixed)[0]["params.x"].to_list() == [3, 15]


def test_a_trial_without_a_bounded_metric_is_not_feasible():
    found = [
        sample.result(k, [metrics], [1]) for k, metrics in enumerate([{"flops": 1.0}, {"flops": 3.0}, {}])
    ]
    made = rows(WIDTH, 0.0, 0.0, 0.0, results=dict(enumerate(found)))
    frame = trials(made, params(made)[0], {}, {"flops": 2.0})
    assert frame["feasible"].to_list() == [True, False, False]


def test_an_interval_that_reported_nothing_is_left_out_and_times_are_utc():
    result = sample.result(0, [], [])
    result["started"] = "2026-05-04T11:00:00+02:00"
    result["finished"] = None
    result["intervals"] += [{"worker": "b:0", "started": result["started"], "ended": None}]
    made = rows(WIDTH, 0.0, results={0: result})
    assert intervals(made)["worker"].to_list() == ["laptop:0"]
    frame = spans(made)
    assert frame["started"].to_list() == [pd.Timestamp("2026-05-04T09:00:00Z")]
    assert frame["finished"].isna().all()


def test_a_damaged_time_is_one_clear_line():
    made = rows(WIDTH, 0.0, results={0: {"started": "yesterday", "finished": None}})
    with pytest.raises(
        UserError, match=r"^a time in the column started is not ISO 8601; copy the study again$"
    ):
        spans(made)


def test_metrics_that_only_some_rows_have_are_nan_in_the_others():
    frame = with_metrics(["trial"], [{"trial": 1, "metrics": {"a": 1}}, {"trial": 2, "metrics": {"b": 2}}])
    assert list(frame) == ["trial", "metrics.a", "metrics.b"]
    np.testing.assert_array_equal(frame[["metrics.a", "metrics.b"]], [[1, np.nan], [np.nan, 2]])


def test_no_row_has_the_columns_asked_for():
    assert list(with_metrics(["trial", "seed"], [])) == ["trial", "seed"]
