"""JSON and TOML that somebody else may have written: every fault of a text is a ValueError."""

import json
import tomllib
from collections.abc import Iterable
from typing import Any

DEEPEST = 100
"""Tables and lists inside one another that a document may have; those that are written have up to five."""


def parse_json(text: str | bytes) -> Any:
    """Return what a JSON text holds.

    Raises:
        ValueError: It is not JSON, or is nested so deeply that working with it could exhaust the stack.

    >>> parse_json('{"epoch": 3}')
    {'epoch': 3}
    """
    try:
        return _checked(json.loads(text))
    except RecursionError:
        raise _too_deep() from None


def parse_toml(text: str) -> dict[str, Any]:
    """Return the table that a TOML text holds.

    Raises:
        ValueError: It is not TOML (`tomllib.TOMLDecodeError`), or is nested too deeply, as of `parse_json`.
    """
    try:
        found: dict[str, Any] = _checked(tomllib.loads(text))
    except RecursionError:
        raise _too_deep() from None
    return found


def _checked(document: Any) -> Any:
    level = [document]
    for _ in range(DEEPEST):
        level = [part for whole in level for part in _parts(whole)]
        if not level:
            return document
    raise _too_deep()


def _parts(whole: Any) -> Iterable[Any]:
    """Return the tables and lists in a table or list."""
    values = whole.values() if isinstance(whole, dict) else whole if isinstance(whole, list) else ()
    return [value for value in values if isinstance(value, dict | list)]


def _too_deep() -> ValueError:
    return ValueError(f"it is nested more than {DEEPEST} levels deep")
