"""Figures of what was varied."""

import math

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution

from results.figures.parameters import MAX_AXES, MAX_BARS, importances, parallel, width_effects, widths

SHOWN = pd.DataFrame(
    {
        "number": [0, 1, 2],
        "role": ["front", "dominated", "stopped"],
        "metrics.accuracy": [0.9, 0.8, 0.7],
        "metrics.flops": [10.0, 1000.0, 1.0],
        "params.bits": [8, 2, 4],
        "params.eta": [0.1, 0.2, 0.3],
        "params.gamma": [0.5, math.nan, 0.5],
    }
)
DISTRIBUTIONS = {
    "bits": CategoricalDistribution([8, 4, 2]),
    "eta": FloatDistribution(0.0, 1.0),
    "gamma": FloatDistribution(0.0, 1.0),
}


@pytest.fixture
def dimensions():
    figure = parallel(SHOWN, {"accuracy": "max", "flops": "min"}, DISTRIBUTIONS)
    return {one.label: one for one in figure.data[0].dimensions}


def test_parallel_coordinates_show_complete_trials_and_leave_conditional_parameters_out(dimensions):
    assert list(dimensions) == ["accuracy", "flops", "bits", "eta"]
    assert list(dimensions["accuracy"]["values"]) == [0.9, 0.8]


def test_choices_stand_evenly_in_ascending_order(dimensions):
    assert list(dimensions["bits"].ticktext) == ["2", "8"]
    assert list(dimensions["bits"]["values"]) == [1, 0]


def test_a_wide_range_has_powers_of_ten_as_ticks(dimensions):
    flops = dimensions["flops"]
    assert list(flops["values"]) == pytest.approx([1.0, 3.0])
    assert list(flops.ticktext) == ["10", "100", "1000"]
    assert dimensions["accuracy"].ticktext is None


def test_parallel_coordinates_have_a_limited_number_of_axes():
    names = [f"p{k}" for k in range(20)]
    shown = SHOWN.assign(**{f"params.{name}": [0.1, 0.2, 0.3] for name in names})
    drawn = parallel(shown, {"accuracy": "max"}, {name: FloatDistribution(0, 1) for name in names})
    assert len(drawn.data[0].dimensions) == MAX_AXES


def test_a_width_is_a_cell_by_layer_and_trial():
    rows = pd.DataFrame({"number": [5, 6], "params.bits.fc": [2, 8], "params.bits.conv": [4.0, math.nan]})
    (heat,) = widths(rows, ["bits.fc", "bits.conv"]).data
    assert list(heat.y) == ["bits.fc", "bits.conv"]
    assert list(heat.x) == ["#5", "#6"]
    np.testing.assert_allclose(np.array(heat.z, float), [[1, 3], [2, np.nan]])
    assert [list(row) for row in heat.text] == [["2", "8"], ["4", ""]]
    assert list(heat.colorbar.ticktext) == ["2", "4", "8"]


def test_of_many_trials_the_widths_have_no_text():
    rows = pd.DataFrame({"number": range(41), "params.bits.fc": [4] * 41})
    assert widths(rows, ["bits.fc"]).data[0].text is None


def test_the_most_important_parameters_are_on_top():
    shares = pd.DataFrame(
        {"accuracy": np.linspace(0.01, 0.2, 20), "flops": 0.0}, index=[f"p{k}" for k in range(20)]
    )
    figure = importances(shares)
    assert [trace.name for trace in figure.data] == ["accuracy", "flops"]
    assert list(figure.data[0].y) == [f"p{k}" for k in range(19, 19 - MAX_BARS, -1)]
    assert figure.layout.yaxis.autorange == "reversed"


def test_the_effects_of_one_width_stand_beside_each_other():
    effects = pd.DataFrame(
        {
            "parameter": ["bits.a", "bits.b", "bits.a"],
            "objective": ["accuracy", "accuracy", "loss"],
            "effect": [-0.1, -0.2, 0.3],
            "high": [0.0, -0.1, 0.5],
        }
    )
    accuracy, loss = width_effects(effects).data
    assert (accuracy.x, loss.x) == ((-0.1, -0.2), (0.3,))
    assert [round(y) for y in accuracy.y] == [0, 1]
    assert 0 < loss.y[0] - accuracy.y[0] < 0.5
    assert accuracy.error_x.array == pytest.approx((0.1, 0.1))
    assert accuracy.marker.symbol != loss.marker.symbol
