"""Probabilities of front membership: closed forms, replicates, and calibration by simulation."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from results.analysis import membership
from results.analysis.fronts import pareto_front
from tests.benchmarks.membership import SHAPES, calibration

DIRECTIONS = {"accuracy": "max", "flops": "min"}
NONE = pd.DataFrame({"trial": [], "seed": [], "refit": []})


def frame(rows, **columns):
    """Complete trials of (configuration, accuracy, flops), each with a seed of its own."""
    trials = pd.DataFrame(rows, columns=["params.c", "metrics.accuracy", "metrics.flops"])
    trials = trials.assign(
        number=range(len(trials)), seed=range(len(trials)), state="complete", feasible=True
    )
    return trials.assign(**columns)


def test_two_trials_of_one_cost_are_a_difference_of_normals():
    trials = frame([(0, 0.80, 1.0), (1, 0.82, 1.0)], **{"metrics.accuracy_se": [0.01, 0.02]})
    first, second = membership.configurations(trials, DIRECTIONS)["p_front"]
    expected = stats.norm.sf(0.02 / np.hypot(0.01, 0.02))
    assert first == pytest.approx(expected, abs=0.04)
    assert first + second == pytest.approx(1.0)  # never both, never none


def test_the_cheapest_is_on_the_front_and_what_is_far_behind_is_not():
    trials = frame([(0, 0.5, 1.0), (1, 0.9, 2.0), (2, 0.6, 3.0)], **{"metrics.accuracy_se": 0.01})
    assert membership.configurations(trials, DIRECTIONS)["p_front"].to_list() == [1.0, 1.0, 0.0]


def test_replicates_are_one_configuration_with_the_mean_of_its_draws():
    trials = frame(
        [(0, 0.80, 1.0), (1, 0.5, 0.5), (0, 0.84, 1.0), (0, 0.88, 1.0)], **{"metrics.accuracy_se": 0.0}
    )
    found = membership.configurations(trials, DIRECTIONS).set_index("number")
    assert found["draws"].to_dict() == {0: 3, 1: 1}
    assert found.at[0, "metrics.accuracy"] == pytest.approx(0.84)
    assert found["error.accuracy"].to_list() == pytest.approx(
        [0.04 / np.sqrt(3), 0.04]
    )  # the pooled deviation
    assert (found["error.flops"] == 0).all()


def test_the_same_seed_again_is_the_same_draw():
    trials = frame([(0, 0.80, 1.0), (0, 0.80, 1.0), (0, 0.84, 1.0)], seed=[5, 5, 6])
    assert membership.configurations(trials, DIRECTIONS)["draws"].to_list() == [2]


def test_parameters_that_are_missing_alike_are_equal():
    trials = frame([(np.nan, 0.80, 1.0), (np.nan, 0.82, 1.0), (1.0, 0.84, 1.0)])
    assert membership.configurations(trials, DIRECTIONS)["draws"].to_list() == [2, 1]


def test_without_parameters_every_trial_stands_alone():
    trials = frame([(0, 0.80, 1.0), (0, 0.82, 1.0)]).drop(columns="params.c")
    assert len(membership.configurations(trials, DIRECTIONS)) == 2


def test_one_replicate_only_holds_the_error_of_the_images_and_says_so():
    trials = frame([(0, 0.80, 1.0), (1, 0.81, 1.0)], **{"metrics.accuracy_se": 0.01})
    found = membership.configurations(trials, DIRECTIONS)
    assert found["error.accuracy"].to_list() == pytest.approx([0.01, 0.01])
    assert "the error of the images only" in membership.caveat(found, NONE)
    twice = pd.DataFrame({"trial": [0, 0], "seed": [7, 8], "refit": False, "metrics.accuracy": [0.7, 0.72]})
    told = membership.configurations(trials, DIRECTIONS, twice)
    assert told["error.accuracy"].to_list() == pytest.approx([np.hypot(0.01, np.sqrt(2e-4))] * 2)
    assert membership.caveat(told, twice) == ""
    refits = twice.assign(refit=True)  # trained on other images: not a draw of the same
    assert membership.configurations(trials, DIRECTIONS, refits).equals(found)


def test_an_objective_without_a_recorded_error_is_not_known_until_it_has_two_draws():
    trials = frame([(0, 0.80, 1.0), (1, 0.81, 1.0)])
    found = membership.configurations(trials, DIRECTIONS)
    assert found["p_front"].isna().all()
    assert membership.caveat(found, NONE).startswith("not known, because accuracy has no recorded error")
    again = frame([(0, 0.80, 1.0), (1, 0.81, 1.0), (0, 0.82, 1.0)])
    assert membership.configurations(again, DIRECTIONS)["p_front"].notna().all()


def test_a_trial_without_an_error_of_its_own_is_given_that_of_the_others():
    trials = frame(
        [(0, 0.8, 1.0), (1, 0.8, 2.0), (2, 0.8, 3.0)], **{"metrics.accuracy_se": [0.03, 0.01, np.nan]}
    )
    assert membership.configurations(trials, DIRECTIONS)["error.accuracy"].to_list() == pytest.approx(
        [0.03, 0.01, np.sqrt(5e-4)]
    )


def test_no_trial_has_no_configuration():
    empty = frame([], **{"metrics.accuracy_se": []})
    found = membership.configurations(empty, DIRECTIONS)
    assert found.empty
    assert {"draws", "p_front", "error.accuracy"} <= set(found)
    assert membership.caveat(found, NONE) == ""
    assert pareto_front(found, DIRECTIONS).empty


@pytest.mark.parametrize("shape", SHAPES)
def test_stated_probabilities_are_calibrated(shape):
    """Of the members said to be 0.8 to 0.9, 75 to 95 % are on the front of the true means."""
    table = calibration(shape, studies=60, seed=1).set_index("from")
    assert table.at[0.8, "members"] >= 60
    assert 0.75 <= table.at[0.8, "on the true front"] <= 0.95
    many = table[table["members"] >= 30]
    assert many["on the true front"].is_monotonic_increasing
    assert len(many) >= 4
