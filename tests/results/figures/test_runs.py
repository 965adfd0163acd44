"""Figures of how the runs went."""

import math

import pandas as pd
import pytest

from results.figures.runs import ORDER, curves, layer_curves, removal, workers
from results.figures.style import COLOURS

POINTS = pd.DataFrame(
    {
        "number": [1, 0, 0, 1, 2],
        "epoch": [1, 2, 1, 2, 1],
        "metrics.loss": [0.5, 0.3, 0.4, math.nan, 0.9],
        "metrics.alpha.a": [1.0, 2.0, 3.0, 4.0, 5.0],
        "metrics.alpha.b": [6.0, 7.0, 8.0, 9.0, 10.0],
    }
)
ROLES = pd.Series({0: "front", 1: "stopped", 2: "front"})


def test_every_role_has_an_order_of_drawing():
    assert set(ORDER) == set(COLOURS)
    assert ORDER[-1] == "front"


def test_curves_of_different_trials_do_not_touch():
    lines = {t.name: t for t in curves(POINTS, ROLES, "loss").data if t.mode == "lines"}
    assert lines["front"].x == (1.0, 2.0, None, 1.0, None)
    assert lines["front"].y == (0.4, 0.3, None, 0.9, None)
    assert lines["front"].customdata == (0, 0, 0, 2, 2)


def test_the_last_epoch_that_has_the_metric_is_marked():
    ends = {t.name: t for t in curves(POINTS, ROLES, "loss").data if t.mode == "markers"}
    assert (ends["front"].x, ends["front"].y) == ((2.0, 1.0), (0.3, 0.9))
    assert (ends["stopped"].x, ends["stopped"].y) == ((1.0,), (0.5,))


@pytest.mark.parametrize(("last", "step"), [(1, 1), (10, 1), (11, 2), (50, 5)])
def test_ticks_stand_at_about_ten_whole_epochs(last, step):
    points = pd.DataFrame({"number": 0, "epoch": [1, last], "metrics.loss": 0.5})
    assert curves(points, ROLES, "loss").layout.xaxis.dtick == step


def test_a_layer_has_its_colour_and_a_trial_its_dashes():
    columns = ["metrics.alpha.a", "metrics.alpha.b"]
    traces = layer_curves(POINTS, columns, "alpha").data
    assert [trace.name for trace in traces] == ["a", "b"] * 3
    assert [trace.line.color for trace in traces[:2]] == [trace.line.color for trace in traces[2:4]]
    assert [trace.line.dash for trace in traces] == ["solid", "solid", "dot", "dot", "dash", "dash"]
    assert [trace.showlegend for trace in traces] == [True, True, *[False] * 4]  # a layer is named once


def test_removal_draws_the_least_salient_first_as_one_line_per_trial():
    points = pd.DataFrame(
        {"number": [3, 3, 4, 3], "order": ["lerf", "lerf", "lerf", "morf"], "fraction": [0.5, 0.0, 0.0, 0.0],
         "kept": [0.8, 1.0, 0.9, 0.7], "accuracy": 0.5}
    )  # fmt: skip
    traces = {trace.name: trace for trace in removal(points, "kept").data}
    assert traces["least salient first"].y == (1.0, 0.8, None, 0.9, None)
    assert traces["most salient first"].y == (0.7, None)
    assert traces["in random order"].y == ()


def test_a_bar_lies_between_the_start_and_the_end_of_an_interval():
    times = pd.to_datetime(["2026-05-04T09:00Z", "2026-05-04T09:02Z", "2026-05-04T09:05Z"])
    intervals = pd.DataFrame(
        {"number": [1, 0], "worker": ["b<", "a"], "started": times[:2], "ended": [times[1], times[2]]}
    )
    bars = {trace.name: trace for trace in workers(intervals, ROLES).data}
    assert (bars["front"].base, bars["front"].x, bars["front"].y) == ((2.0,), (3.0,), ("a",))
    assert bars["stopped"].y == ("b&lt;",)
    assert bars["stopped"].customdata == (1,)
