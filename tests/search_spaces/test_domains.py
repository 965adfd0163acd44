"""What one parameter may be: its values, its document, and what is wrong in one sentence each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from search_spaces import Choice, Float, Int
from search_spaces.domains import is_scalar, parse_domain
from study_common.errors import UserError


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (
            {"type": "float", "low": 2.0, "high": 1.0},
            "parameter p: low 2.0 is greater than high 1.0; swap them",
        ),
        ({"type": "float", "low": 0.0, "high": 1.0, "log": True}, "a log range cannot start at 0.0"),
        ({"type": "float", "low": 0.0, "high": float("inf")}, "low and high must be numbers"),
        ({"type": "float", "low": "0", "high": 1}, "low and high must be numbers"),
        ({"type": "float", "low": True, "high": 2}, "low and high must be numbers"),
        ({"type": "float", "low": 0.0, "high": 1.0, "log": 1}, "log must be true or false"),
        ({"type": "float", "low": 0.0, "hihg": 1.0}, "unknown key 'hihg'; the nearest is 'high'"),
        ({"type": "float", "low": 0.0}, "high is missing"),
        ({"type": "floot", "low": 0.0, "high": 1.0}, "unknown type 'floot'; the nearest is 'float'"),
        ({"type": ["float"]}, "unknown type"),
        ({"low": 0.0, "high": 1.0}, "it must be a table such as"),
        (3, "it must be a table such as"),
        ({"type": "int", "low": 0, "high": 8, "log": True}, "a log range of integers cannot start at 0"),
        ({"type": "int", "low": 1, "high": 8, "log": True, "step": 2}, "a log range has no step"),
        ({"type": "int", "low": 1, "high": 8, "step": 0}, "step must be an integer of at least 1"),
        ({"type": "int", "low": 64, "high": 250, "step": 64}, "end it at 192"),
        ({"type": "int", "low": 1.5, "high": 8}, "low and high must be integers"),
        ({"type": "choice", "values": []}, "at least one value"),
        ({"type": "choice", "values": [1, 1.0]}, "1.0 is listed twice"),
        ({"type": "choice", "values": [[1]]}, "not a finite number"),
        ({"type": "choice", "values": "adam"}, "values must be a list such as ['adam']"),
        ({"type": "choice", "values": [1], "when": "x"}, "when must be a table"),
        ({"type": "choice", "values": [1], "when": {"x": "y"}}, "when.x must be a list"),
        ({"type": "choice", "values": [1], "when": {"x": []}}, "when.x must list at least one"),
    ],
)
def test_bad_domains(domain, message):
    said = refused({"parameters": {"p": domain}})
    assert "parameter p: " in said
    assert message in said


def refused(document):
    with pytest.raises(UserError, match=r"^space mine: ") as info:
        search_spaces.parse(document, "mine")
    assert "\n" not in str(info.value)
    return str(info.value)


SCALARS = st.one_of(
    st.booleans(), st.integers(-99, 99), st.text(max_size=3), st.floats(allow_nan=False, allow_infinity=False)
)
WHENS = st.none() | st.dictionaries(
    st.text("abc", min_size=1), st.lists(SCALARS, min_size=1).map(tuple), min_size=1
)


@given(st.integers(-9, 9), st.integers(1, 4), st.integers(0, 5))
def test_the_integers_of_a_range_are_counted_up_from_low_to_high(low, step, count):
    domain = Int(low=low, high=low + step * count, step=step)
    expected = [low + step * k for k in range(count + 1)]
    assert list(domain.finite()) == expected
    assert [value for value in range(-20, 40) if value in domain] == expected


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats())
def test_a_float_range_holds_its_ends_and_what_lies_between(a, b, value):
    low, high = min(a, b), max(a, b)
    domain = Float(low=low, high=high)
    assert low in domain
    assert high in domain
    assert (value in domain) == (low <= value <= high)


def test_only_a_float_range_of_one_value_is_finite():
    assert Float(low=0.5, high=0.5).finite() == (0.5,)
    assert Float(low=0.5, high=0.6).finite() is None


def test_a_boolean_is_no_number_of_a_range():
    assert True not in Int(low=0, high=1)
    assert True not in Float(low=0.0, high=1.0)


@given(
    st.builds(Float, low=st.floats(1e-6, 1.0), high=st.floats(1.0, 1e6), log=st.booleans(), when=WHENS)
    | st.builds(Int, low=st.integers(1, 9), high=st.integers(9, 20), log=st.booleans(), when=WHENS)
    | st.builds(Int, low=st.just(4), high=st.sampled_from([4, 10, 16]), step=st.just(3), when=WHENS)
    | st.builds(Choice, values=st.lists(SCALARS, min_size=1, unique=True).map(tuple), when=WHENS)
)
def test_the_document_of_a_domain_is_read_back_as_it(domain):
    assert parse_domain(domain.to_document()) == domain


@pytest.mark.parametrize(
    ("values", "ordered"),
    [((2, 4, 8), True), ((4, 2), False), ((2, "4"), False), ((False, True), False), ((1, 1.5), True)],
)
def test_a_choice_is_ordered_if_its_values_are_ascending_numbers(values, ordered):
    assert Choice(values=values).is_ordered is ordered


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, [1], (1,)])
def test_what_is_not_finite_or_no_single_value_is_no_scalar(value):
    assert not is_scalar(value)
