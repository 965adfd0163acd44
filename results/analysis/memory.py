"""What was computed of a study, kept for the next look at it: it makes that one cheaper, and no different."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

import pandas as pd

T = TypeVar("T")


class Memory:
    """Values by name, each with what it was computed of."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[bytes, Any]] = {}

    def of(self, name: str, rows: pd.DataFrame, compute: Callable[[], T]) -> T:
        """Return the value `name`: the one before if `rows` are equal to those it was computed of.

        >>> memory, rows = Memory(), pd.DataFrame({"a": [1, 2]})
        >>> memory.of("sum", rows, lambda: 3), memory.of("sum", rows, lambda: 4), memory.of("sum", rows[:1], lambda: 1)
        (3, 3, 1)
        """
        key = repr(list(rows)).encode() + pd.util.hash_pandas_object(rows).to_numpy().tobytes()
        known = self._kept.get(name)
        if known and known[0] == key:
            return cast(T, known[1])
        value = compute()
        self._kept[name] = key, value
        return value

    def last(self, name: str) -> Any:
        """Return the value that `keep` was given last; None if there is none."""
        return self._kept.get(name, (b"", None))[1]

    def keep(self, name: str, value: Any) -> None:
        """Keep a value that says itself what it was computed of."""
        self._kept[name] = b"", value
