"""Objectives and bounds as typed."""

import argparse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.analysis.arguments import bound, bounds, directions
from study_common.errors import UserError

NAMES = st.text("abcdefgh_.", min_size=1, max_size=8)


@given(
    st.dictionaries(NAMES, st.sampled_from(["max", "min"]), min_size=1, max_size=4),
    st.sampled_from(["", " "]),
)
def test_objectives_are_read_in_the_order_typed(objectives, space):
    typed = f",{space}".join(f"{name}:{direction}" for name, direction in objectives.items())
    assert list(directions(typed).items()) == list(objectives.items())


@pytest.mark.parametrize(
    "typed", ["", "accuracy", "accuracy:", "accuracy:up", "accuracy:max,flops", "accuracy:max,"]
)
def test_an_objective_without_a_direction_is_rejected(typed):
    with pytest.raises(argparse.ArgumentTypeError, match="needs ':max' or ':min' after it"):
        directions(typed)


def test_an_objective_given_twice_is_rejected():
    with pytest.raises(argparse.ArgumentTypeError, match="the objective flops is given twice"):
        directions("flops:min,accuracy:max,flops:min")


@given(NAMES, st.floats(allow_nan=False, allow_infinity=False))
def test_a_bound_is_read_to_the_last_digit(name, number):
    assert bound(f"{name}={number!r}") == (name, number)


@pytest.mark.parametrize("typed", ["bops", "bops=", "bops=many", "bops=nan", "bops=inf", "bops=1=2"])
def test_what_is_no_finite_bound_is_rejected(typed):
    with pytest.raises(argparse.ArgumentTypeError, match="is not NAME=NUMBER"):
        bound(typed)


def test_two_bounds_of_one_metric_are_rejected_even_if_equal():
    assert bounds("--max", [("bops", 1.0), ("flops", 2.0)]) == {"bops": 1.0, "flops": 2.0}
    with pytest.raises(UserError, match="--max bops is given twice; give each bound once"):
        bounds("--max", [("bops", 1.0), ("bops", 1.0)])
