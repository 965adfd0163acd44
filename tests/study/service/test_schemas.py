"""The documented form of requests."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from study.service.schemas import Confirm, Launch, Resume
from study.store.options import duration


@given(st.from_regex(r"^([1-9][0-9]{0,5}[hms]?)$", fullmatch=True))
def test_a_time_budget_is_one_that_a_launch_takes(text: str) -> None:
    assert Launch(space="x", time_budget=text).time_budget == text
    assert duration(text) > 0


@pytest.mark.parametrize("text", ["", "0", "30 m", "-5", "--help", "30m\n"])
def test_other_time_budgets_are_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Launch(space="x", time_budget=text)


def test_none_lifts_the_budget_of_a_resume_only() -> None:
    assert Resume(time_budget="none").time_budget == "none"
    with pytest.raises(ValidationError):
        Launch(space="x", time_budget="none")


@pytest.mark.parametrize("kind", [Launch, Resume, Confirm])
def test_what_is_not_documented_is_refused(kind: type) -> None:
    given = {"space": "x"} if kind is Launch else {}
    kind(**given)
    with pytest.raises(ValidationError):
        kind(**given, fixed={"data_dir": "/etc"})
