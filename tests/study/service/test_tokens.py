"""Tokens: who may, and until when."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.service import tokens

KEY = b"k" * 32


def test_a_token_is_valid_until_it_expires() -> None:
    token = tokens.issue(KEY, 100, now=1000)
    assert tokens.seconds_left(token, KEY, now=1040) == 60
    assert tokens.is_valid(token, KEY, now=1099)
    assert not tokens.is_valid(token, KEY, now=1100)


def test_two_tokens_differ() -> None:
    assert tokens.issue(KEY, 100, now=0) != tokens.issue(KEY, 100, now=0)


def test_another_key_makes_it_invalid() -> None:
    assert not tokens.is_valid(tokens.issue(b"other", 100), KEY)


@pytest.mark.parametrize("place", [0, 7, -1])
@pytest.mark.parametrize("other", ["\ud800", "\u0661", "\0"])
def test_a_character_that_no_token_has_makes_it_invalid(other: str, place: int) -> None:
    token = list(tokens.issue(KEY, 100, now=1000))
    token[place] = other
    assert not tokens.is_valid("".join(token), KEY, now=1000)


@given(st.data())
def test_a_token_with_one_other_character_is_invalid(data: st.DataObject) -> None:
    token = tokens.issue(KEY, 100, now=1000)
    place = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.characters().filter(lambda one: one != token[place]))
    assert not tokens.is_valid(token[:place] + other + token[place + 1 :], KEY, now=1000)


@given(st.text())
def test_no_text_is_a_token(text: str) -> None:
    assert not tokens.is_valid(text, KEY, now=0)
