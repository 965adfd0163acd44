"""How marks and axes look."""

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.figures.style import COLOURS, SERIES, SYMBOLS, axis, figure, short, text


def test_every_role_has_a_colour_and_a_symbol():
    assert COLOURS.keys() == SYMBOLS.keys()
    assert len(set(COLOURS.values())) == len(COLOURS)
    assert len(set(SERIES)) == len(SERIES)


@pytest.mark.parametrize(
    ("values", "logarithmic"),
    [
        ([1.0, 21.0], True),
        ([1.0, 20.0], False),
        ([0.0, 1.0, 100.0], False),
        ([-1.0, -100.0], False),
        ([1.0, math.nan, math.inf, 2.0], False),
        ([math.nan], False),
        ([], False),
    ],
)
def test_an_axis_is_logarithmic_if_its_values_are_positive_and_span_a_factor_of_20(values, logarithmic):
    assert (axis("x", pd.Series(values, dtype=float)).get("type") == "log") is logarithmic


def test_an_axis_spells_out_the_metrics_that_have_short_names():
    assert axis("flops")["title"]["text"] == "effective FLOPs"
    assert axis("accuracy")["title"]["text"] == "accuracy"


@given(st.text())
def test_no_text_holds_markup(value):
    assert "<" not in text(value)
    assert ">" not in text(value)


@given(st.lists(st.floats(), max_size=5))
def test_numbers_are_kept_to_six_digits_and_what_is_not_finite_is_none(values):
    for given_, kept in zip(values, short(pd.Series(values, dtype=float)), strict=True):
        if math.isfinite(given_):
            assert kept == pytest.approx(given_, rel=5e-6, abs=0)
        else:
            assert kept is None


def test_a_figure_leaves_ink_and_paper_to_the_page_and_takes_other_settings():
    layout = figure([], height=100, barmode="group").layout
    assert layout.paper_bgcolor == layout.plot_bgcolor == "rgba(0,0,0,0)"
    assert (layout.height, layout.barmode) == (100, "group")
