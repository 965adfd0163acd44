"""Checking the types of what was read from JSON or TOML, once, where it enters."""

from collections.abc import Callable
from functools import cache
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints, is_typeddict

from study_common.errors import UserError

LARGEST_INTEGER = 2**53
"""Integers beyond it are not exact as a float, and no count or seed of ours is that large."""


def check(value: object, kind: Any, where: str) -> None:
    """Raise a UserError that names the place in `value` that is not of the type `kind`.

    Known are int, float (an integer will do), str, bool, None, list[...], dict[str, ...], a TypedDict (further keys
    are allowed), unions of those, and Any.

    >>> check({"epoch": 3, "loss": 0.5}, dict[str, float], "curve.json")
    >>> check({"epoch": 3, "loss": "low"}, dict[str, float], "curve.json")
    Traceback (most recent call last):
    study_common.errors.UserError: curve.json: loss is 'low', and must be a number
    """
    if fault := checker(kind)(value):
        path, found, wanted = fault
        place = f"{path.lstrip('.')} is {_shortened(found)}" if path else f"it holds {_shortened(found)}"
        raise UserError(f"{where}: {place}, and must be {wanted}")


Fault = tuple[str, object, str]
"""Where it is, what is there, and what must be there."""

Checker = Callable[[object], Fault | None]


@cache
def checker(kind: Any) -> Checker:
    """Return a function that gives the first fault of a value, None if it is of the type `kind`."""
    if kind is Any:
        return lambda value: None
    if kind in PLAIN:
        wanted, is_valid = PLAIN[kind]
        return lambda value: None if is_valid(value) else ("", value, wanted)
    if is_typeddict(kind):
        return _fields(get_type_hints(kind), kind.__required_keys__)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list:
        return _list(checker(arguments[0]))
    if origin is dict:
        return _dict(checker(arguments[1]))
    assert origin in (UnionType, Union), kind
    return _any_of([checker(one) for one in arguments])


PLAIN: dict[Any, tuple[str, Callable[[Any], bool]]] = {
    int: ("an integer", lambda value: type(value) is int and abs(value) <= LARGEST_INTEGER),
    float: ("a number", lambda value: type(value) is float or (type(value) is int and abs(value) < 2**1000)),
    str: ("a text", lambda value: isinstance(value, str)),
    bool: ("true or false", lambda value: isinstance(value, bool)),
    NoneType: ("nothing", lambda value: value is None),
}


def _list(of: Checker) -> Checker:
    def first(value: object) -> Fault | None:
        if not isinstance(value, list):
            return "", value, "a list"
        for k, one in enumerate(value):
            if fault := of(one):
                return f"[{k}]{fault[0]}", *fault[1:]
        return None

    return first


def _dict(of: Checker) -> Checker:
    def first(value: object) -> Fault | None:
        if not isinstance(value, dict):
            return "", value, "a table"
        for key, one in value.items():
            if fault := of(one):
                return f".{key}{fault[0]}", *fault[1:]
        return None

    return first


def _fields(hints: dict[str, Any], required: frozenset[str]) -> Checker:
    checkers = {name: checker(hint) for name, hint in hints.items()}

    def first(value: object) -> Fault | None:
        if not isinstance(value, dict):
            return "", value, "a table"
        if missing := required - value.keys():
            return "", value, f"a table with {', '.join(sorted(missing))}"
        for name, of in checkers.items():
            if name in value and (fault := of(value[name])):
                return f".{name}{fault[0]}", *fault[1:]
        return None

    return first


def _any_of(checkers: list[Checker]) -> Checker:
    def first(value: object) -> Fault | None:
        faults = [of(value) for of in checkers]
        if not all(faults):
            return None
        told = [fault for fault in faults if fault]
        deepest = max(told, key=lambda fault: len(fault[0]))
        return deepest if deepest[0] else ("", value, " or ".join(fault[2] for fault in told))

    return first


def _shortened(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
