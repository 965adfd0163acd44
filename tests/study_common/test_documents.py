"""JSON and TOML of others: what is sound comes back, and a text that would exhaust the stack is a ValueError."""

import json

import pytest

from study_common.documents import DEEPEST, parse_json, parse_toml


@pytest.mark.parametrize("depth", [DEEPEST + 1, 900, 3000, 100_000])
def test_what_is_nested_too_deeply_is_a_value_error(depth):
    for text in ("[" * depth + "]" * depth, '{"a":' * depth + "1" + "}" * depth):
        with pytest.raises(ValueError, match="nested more than 100 levels deep"):
            parse_json(text)
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        parse_toml(f"a = {'[' * depth}{']' * depth}")


def test_brackets_that_never_close_are_a_value_error():
    for parse, text in ((parse_json, "[" * 100_000), (parse_toml, "a = " + "[" * 100_000)):
        with pytest.raises(ValueError, match=r"nested|closed|Invalid"):
            parse(text)


def test_a_document_of_the_deepest_level_comes_back():
    text = "[" * DEEPEST + "]" * DEEPEST
    assert parse_json(text) == json.loads(text)
    assert parse_toml(f"a = {text[1:-1]}") == {"a": json.loads(text[1:-1])}
