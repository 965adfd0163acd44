"""Recommendations and choices against a search of all rows by hand."""

import pytest

import results
from study_common.errors import UserError


def good(study):
    return study.trials[(study.trials["state"] == "complete") & study.trials["feasible"]]


def test_the_most_accurate_and_the_cheapest_near_it(study):
    chosen = study.recommend()
    assert list(chosen) == ["Most accurate", "Knee", "Cheapest within 1 point"]
    best = good(study)["metrics.accuracy"].max()
    assert chosen["Most accurate"]["metrics.accuracy"] == best
    near = good(study)[good(study)["metrics.accuracy"] >= best - 0.01]
    assert chosen["Cheapest within 1 point"]["metrics.flops"] == near["metrics.flops"].min()


def test_the_knee_is_the_nearest_to_the_ideal_of_the_front(study):
    front = study.front()
    columns = {
        name: front[f"metrics.{name}"] * (1 if way == "min" else -1) for name, way in study.directions.items()
    }
    square = sum(((c - c.min()) / (c.max() - c.min())) ** 2 for c in columns.values())
    assert study.recommend()["Knee"]["number"] == front.loc[square.idxmin(), "number"]


@pytest.mark.parametrize("prefer", ["knee", "accuracy", "faithfulness", "bops", "loss"])
def test_select_keeps_the_bounds_and_prefers(study, prefer):
    row = study.select(at_most={"flops": 2e6}, at_least={"accuracy": 0.75}, prefer=prefer).iloc[0]
    within = good(study)[(good(study)["metrics.flops"] <= 2e6) & (good(study)["metrics.accuracy"] >= 0.75)]
    front = results.pareto_front(within, study.directions)
    assert row["number"] in front["number"].to_list()
    if prefer in ("accuracy", "faithfulness"):
        assert row[f"metrics.{prefer}"] == within[f"metrics.{prefer}"].max()
    elif prefer != "knee":
        assert row[f"metrics.{prefer}"] == front[f"metrics.{prefer}"].min()


def test_select_says_what_is_closest(study):
    with pytest.raises(
        ValueError, match=r"no trial has flops <= 10 and accuracy >= 0.75; .*closest, trial \d+"
    ):
        study.select(at_most={"flops": 10.0}, at_least={"accuracy": 0.75})
    with pytest.raises(UserError, match="unknown metric 'acuracy'; the nearest is 'accuracy'"):
        study.select(at_least={"acuracy": 0.5})
