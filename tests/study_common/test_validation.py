"""Types of what comes from JSON and TOML, and the place of the first fault."""

import json
from contextlib import suppress
from typing import Any, NotRequired, TypedDict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import UserError
from study_common.layout import Result
from study_common.validation import check
from tests.results import sample

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


class Pair(TypedDict):
    direction: str
    ideal: float
    note: NotRequired[str | None]


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (1, int), (1.5, float), (2, float), ("a", str), (True, bool), (None, str | None), ([1, 2], list[int]),
        ({"direction": "max", "ideal": 1, "other": []}, Pair), ({"a": {"b": [1.0]}}, dict[str, dict[str, list[float]]]),
        (object(), Any), (float("nan"), float), ({"direction": "max", "ideal": 1, "note": None}, Pair),
    ],
)  # fmt: skip
def test_what_is_of_the_type(value, kind):
    check(value, kind, "file")


@pytest.mark.parametrize(
    ("value", "kind", "message"),
    [
        (True, int, "file: it holds True, and must be an integer"),
        (True, float, "must be a number"),
        (2**60, int, "must be an integer"),
        (10**400, float, "must be a number"),
        ("1", int | None, "it holds '1', and must be an integer or nothing"),
        ([1, "a"], list[int], r"\[1\] is 'a', and must be an integer"),
        (
            {"a": {"b": [1.0, None]}},
            dict[str, dict[str, list[float]]],
            r"a.b\[1\] is None, and must be a number",
        ),
        ({"ideal": 1}, Pair, "must be a table with direction"),
        ({"direction": "max", "ideal": "high"}, Pair, "ideal is 'high', and must be a number"),
        ([], Pair, r"it holds \[\], and must be a table"),
        ("x" * 200, float, r"it holds 'x{56}\.\.\., and must"),
    ],
)
def test_the_first_fault_is_named(value, kind, message):
    with pytest.raises(UserError, match=message):
        check(value, kind, "file")


@given(JSON, st.sampled_from([Result, list[Pair], dict[str, float], Pair | None]))
def test_nothing_but_a_user_error_comes_out(value, kind):
    with suppress(UserError):
        check(value, kind, "file")


def test_a_result_as_it_is_stored_is_a_result():
    result = sample.result(0, [{"accuracy": 0.5}], [1])
    check(json.loads(json.dumps(result)), Result, "file")
    for name in result:
        with pytest.raises(UserError):
            check({**result, name: object()}, Result, "file")
