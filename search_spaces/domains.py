"""What one parameter may be: a range of floats, a range of integers, or a choice of values.

Every domain knows three things: whether a value is `in` it, its `finite()` values if it has finitely many,
and its `to_document()` table as a space file spells it. `when` makes the parameter conditional: it is active
only if each parameter named there has one of the values listed for it.
"""

import math
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from functools import cached_property
from typing import Any, TypeGuard

from study_common.errors import UserError, check_known, unknown

Scalar = bool | int | float | str
When = Mapping[str, tuple[Scalar, ...]]


@dataclass(frozen=True, kw_only=True)
class Float:
    """All floats of [low, high], on a logarithmic scale if `log`.

    >>> 0.5 in Float(low=0.1, high=1.0), Float(low=0.1, high=1.0).finite()
    (True, None)
    """

    low: float
    high: float
    log: bool = False
    when: When | None = None

    def __post_init__(self) -> None:
        _check_range(self, "numbers", _is_number)
        if self.log and self.low <= 0:
            raise UserError(f"a log range cannot start at {self.low}; give a low above 0")
        _check_when(self.when)

    def __contains__(self, value: object) -> bool:
        return _is_number(value) and self.low <= value <= self.high

    def finite(self) -> tuple[float, ...] | None:
        """Return the only value if low == high, else None: the values are not finitely many."""
        return (self.low,) if self.low == self.high else None

    def to_document(self) -> dict[str, Any]:
        """Return the TOML table that `parse_domain` reads back as this domain."""
        return {"type": "float"} | _stated(self, low=self.low, high=self.high, log=self.log)


@dataclass(frozen=True, kw_only=True)
class Int:
    """The integers low, low + step, ..., high, on a logarithmic scale if `log` (then step is 1).

    >>> Int(low=64, high=256, step=64).finite()
    range(64, 257, 64)
    """

    low: int
    high: int
    step: int = 1
    log: bool = False
    when: When | None = None

    def __post_init__(self) -> None:
        _check_range(self, "integers", _is_integer)
        if not _is_integer(self.step) or self.step < 1:
            raise UserError(f"step must be an integer of at least 1, not {self.step!r}")
        if self.log and self.low < 1:
            raise UserError(f"a log range of integers cannot start at {self.low}; give a low of at least 1")
        if self.log and self.step != 1:
            raise UserError("a log range has no step; leave one of the two out")
        if excess := (self.high - self.low) % self.step:
            raise UserError(
                f"high {self.high} is not low plus whole steps of {self.step}; end it at {self.high - excess}"
            )
        _check_when(self.when)

    def __contains__(self, value: object) -> bool:
        return _is_integer(value) and value in self.finite()

    def finite(self) -> range:
        """Return all values, ascending, however many there are."""
        return range(self.low, self.high + 1, self.step)

    def to_document(self) -> dict[str, Any]:
        """Return the TOML table that `parse_domain` reads back as this domain."""
        step = {} if self.step == 1 else {"step": self.step}
        return {"type": "int"} | _stated(self, low=self.low, high=self.high, **step, log=self.log)


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One of the listed values, in their order: finite numbers, strings or booleans, each once.

    >>> Choice(values=(2, 4, 8)).finite()
    (2, 4, 8)
    """

    values: tuple[Scalar, ...]
    when: When | None = None

    def __post_init__(self) -> None:
        if not self.values:
            raise UserError("a choice needs at least one value")
        for index, value in enumerate(self.values):
            if not is_scalar(value):
                raise UserError(f"{value!r} is not a finite number, string or boolean")
            if value in self.values[:index]:
                raise UserError(f"{value!r} is listed twice; list each value once")
        _check_when(self.when)

    def __contains__(self, value: object) -> bool:
        return value in self.values

    @cached_property
    def is_ordered(self) -> bool:
        """Whether the values are ascending numbers, such as bit-widths: neighbours then behave alike."""
        numbers = [value for value in self.values if not isinstance(value, str | bool)]
        return len(numbers) == len(self.values) and numbers == sorted(numbers)

    def finite(self) -> tuple[Scalar, ...]:
        """Return all values, in their order."""
        return self.values

    def to_document(self) -> dict[str, Any]:
        """Return the TOML table that `parse_domain` reads back as this domain."""
        return {"type": "choice"} | _stated(self, values=list(self.values))


Domain = Float | Int | Choice

_TYPES: dict[str, type[Domain]] = {"float": Float, "int": Int, "choice": Choice}


def parse_domain(table: object) -> Domain:
    """Read the domain that a table of a space file's [parameters] describes.

    >>> parse_domain({"type": "float", "low": 0.1, "high": 10, "log": True})
    Float(low=0.1, high=10, log=True, when=None)
    """
    if not isinstance(table, Mapping) or "type" not in table:
        raise UserError('it must be a table such as { type = "float", low = 0.1, high = 1.0 }')
    kind = str(table["type"])
    if kind not in _TYPES:
        raise unknown("type", kind, _TYPES)
    check_known("key", table, ("type", *(field.name for field in fields(_TYPES[kind]))))
    for field in fields(_TYPES[kind]):
        if field.default is MISSING and field.name not in table:
            raise UserError(f"{field.name} is missing; a {kind} needs it")
    given = {key: value for key, value in table.items() if key != "type"}
    if kind == "choice":
        given["values"] = as_tuple("values", given["values"])
    if "when" in given:
        if not isinstance(given["when"], Mapping):
            raise UserError('when must be a table such as { mask = ["threshold"] }')
        given["when"] = {name: as_tuple(f"when.{name}", values) for name, values in given["when"].items()}
    return _TYPES[kind](**given)


def as_tuple(key: str, values: object) -> tuple[Any, ...]:
    """Return the list `values` of a space file as a tuple; UserError naming `key` if it is not a list."""
    if not isinstance(values, list | tuple):
        raise UserError(f"{key} must be a list such as [{values!r}]")
    return tuple(values)


def is_scalar(value: object) -> bool:
    """Tell whether a configuration can hold `value`: a boolean, a string or a finite number."""
    return isinstance(value, bool | str) or _is_number(value)


def _is_integer(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> TypeGuard[int | float]:
    return _is_integer(value) or (isinstance(value, float) and math.isfinite(value))


def _check_range(domain: Float | Int, numbers: str, is_valid: Any) -> None:
    if not (is_valid(domain.low) and is_valid(domain.high)):
        raise UserError(f"low and high must be {numbers}, not {domain.low!r} and {domain.high!r}")
    if domain.low > domain.high:
        raise UserError(f"low {domain.low} is greater than high {domain.high}; swap them")
    if not isinstance(domain.log, bool):
        raise UserError(f"log must be true or false, not {domain.log!r}")


def _check_when(when: When | None) -> None:
    for name, values in (when or {}).items():
        if not values or not all(map(is_scalar, values)):
            raise UserError(f"when.{name} must list at least one number, string or boolean")


def _stated(domain: Domain, log: bool = False, **table: Any) -> dict[str, Any]:
    """Return the fields of a domain's document; log and when are written only where they say something."""
    when = {name: list(values) for name, values in (domain.when or {}).items()}
    return table | ({"log": True} if log else {}) | ({"when": when} if when else {})
