"""Figures of what was reached."""

import math

import pandas as pd
import pytest

from results.figures.objectives import UNCERTAIN, confirmations, front_3d, hypervolume, pair
from results.figures.style import COLOURS, SYMBOLS

DIRECTIONS = {"accuracy": "max", "flops": "min", "loss": "min"}
SHOWN = pd.DataFrame(
    {
        "number": [0, 1, 2, 3, 4],
        "role": ["front", "front", "dominated", "excluded", "stopped"],
        "likely": [True, False, False, False, False],
        "metrics.accuracy": [0.9, 0.8, 0.7, 0.6, 0.5],
        "metrics.flops": [1.0, 3.0, 9.0, 27.0, 81.0],
        "metrics.loss": [0.1, 0.2, 0.3, math.nan, 0.5],
    }
)


def by_name(figure):
    return {trace.name: trace for trace in figure.data}


def test_a_pair_shows_each_complete_trial_at_its_two_objectives():
    traces = by_name(pair(SHOWN, "flops", "accuracy"))
    assert {name: list(trace.customdata) for name, trace in traces.items()} == {
        "excluded": [3],
        "dominated": [2],
        "front": [0],
        UNCERTAIN: [1],
    }
    assert (traces["dominated"].x, traces["dominated"].y) == ((9.0,), (0.7,))


def test_an_uncertain_member_has_the_look_of_the_front_but_is_fainter():
    traces = by_name(pair(SHOWN, "flops", "accuracy"))
    for trace in (traces["front"], traces[UNCERTAIN]):
        assert (trace.marker.color, trace.marker.symbol) == (COLOURS["front"], SYMBOLS["front"])
    assert (
        traces[UNCERTAIN].marker.opacity < traces["dominated"].marker.opacity < traces["front"].marker.opacity
    )


def test_the_front_is_drawn_over_what_it_dominates():
    names = [trace.name for trace in pair(SHOWN, "flops", "accuracy").data]
    assert names.index("front") > names.index("dominated") > names.index("excluded")


def test_the_scene_has_the_first_three_objectives_on_its_axes():
    figure = front_3d(SHOWN, {**DIRECTIONS, "kl": "min"})
    scene = figure.layout.scene
    titles = [axis.title.text for axis in (scene.xaxis, scene.yaxis, scene.zaxis)]
    assert titles == ["accuracy", "effective FLOPs", "loss"]
    assert scene.yaxis.type == "log"
    front = by_name(figure)["front"]
    assert (front.x, front.y, front.z) == ((0.9,), (1.0,), (0.1,))
    assert by_name(figure)["excluded"].z == (None,)


def test_the_hypervolume_is_a_step_line_and_a_trial_is_marked_when_it_ended():
    growth = pd.DataFrame({"trials": [1, 3], "hypervolume": [0.2, 0.5]})
    ended = SHOWN.assign(trials=[1.0, 3.0, 2.0, math.nan, 4.0], hypervolume=[0.2, 0.5, 0.2, 0.5, 0.5])
    traces = by_name(hypervolume(growth, ended, "trials", "trials ended"))
    line = traces["hypervolume"]
    assert (line.x, line.y, line.line.shape) == ((1.0, 3.0), (0.2, 0.5), "hv")
    assert traces["front"].x == (1.0,)
    assert "excluded" not in traces  # it has not ended


def test_confirmations_put_the_test_mean_and_its_interval_beside_validation():
    table = pd.DataFrame(
        {
            "trial": [4, 4, 5],
            "refit": [False, True, False],
            "objective": ["accuracy", "accuracy", "loss"],
            "validation": [0.9, 0.9, 0.1],
            "mean": [0.88, 0.89, 0.2],
            "high": [0.91, math.nan, 0.3],
        }
    )
    validation, test = confirmations(table, "accuracy").data
    assert list(test.y) == ["trial 4", "trial 4 refit"]
    assert list(test.customdata) == [4, 4]
    assert (validation.x, test.x) == ((0.9, 0.9), (0.88, 0.89))
    assert test.error_x.array == pytest.approx((0.03, 0.0))  # one seed has no interval
