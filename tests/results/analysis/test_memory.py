"""The memory of a study: a value is computed anew when what it is made of differs in anything."""

import pandas as pd

from results.analysis.memory import Memory


def test_a_value_is_kept_as_long_as_its_rows_are_the_same() -> None:
    memory, rows, made = Memory(), pd.DataFrame({"a": [1.0, 2.0], "b": ["x", "y"]}), []

    def value(of: pd.DataFrame) -> int:
        return memory.of("value", of, lambda: made.append(of) or len(made))

    assert [value(rows), value(rows.copy())] == [1, 1]
    changes = [rows.assign(a=[1.0, 2.5]), rows.rename(columns={"b": "c"}), rows.iloc[::-1], rows.iloc[:1]]
    assert [value(one) for one in changes] == [2, 3, 4, 5]


def test_what_is_kept_without_rows_is_the_last() -> None:
    memory = Memory()
    assert memory.last("value") is None
    memory.keep("value", 3)
    assert memory.last("value") == 3
