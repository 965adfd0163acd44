"""Durations in words, read back."""

import re

from hypothesis import example, given
from hypothesis import strategies as st

from results.analysis import formatting

SECONDS = {"h": 3600, "min": 60, "s": 1}


@given(st.floats(0, 1e6))
@example(59.6)
@example(119.6)
@example(3599.6)
@example(7199.6)
def test_a_duration_is_told_to_its_last_unit(seconds):
    told = [
        (int(count), unit) for count, unit in re.findall(r"(\d+) (\w+)", formatting.format_duration(seconds))
    ]
    assert all(count < 60 for count, unit in told if unit != "h")
    assert told[0][0] > 0 or len(told) == 1
    late = seconds - sum(count * SECONDS[unit] for count, unit in told)
    assert -0.5 <= late < (0.5001 if told[-1][1] == "s" else 60)
