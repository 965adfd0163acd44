"""What must hold of the rows of a record: each thing that is wrong is named. `test_database.py` damages whole files."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from results.analysis.rows import Rows, Seen, check_rows
from study_common import layout
from study_common.errors import UserError
from study_common.objectives import Objective
from tests.results import sample

OBJECTIVES = {name: Objective(**pair) for name, pair in sample.OBJECTIVES.items()}
KEY = ("x", "a distribution")
METRICS = {"accuracy": 0.5, "flops": 1.0, "faithfulness": 0.1}


def rows(**changes: Any) -> Rows:
    """Two trials, of which the second has ended; `changes` replace its result's fields."""
    results = {number: sample.result(number, [METRICS], [1]) for number in range(2)}
    results[1]["digest"] = layout.result_digest(results[1], {"x": 1.0})
    results[1] |= changes
    return Rows(
        attributes={},
        directions=[objective.direction for objective in OBJECTIVES.values()],
        states={0: "RUNNING", 1: "COMPLETE"},
        params={KEY: {0: 0.0, 1: 1.0}},
        results=results,
        seen=Seen(states={}, ends={}),
    )


VALUES = [(1, position, value) for position, value in enumerate(METRICS.values())]


def check(
    found: Rows, values: list[tuple[int, int, float]] = VALUES, wanted: tuple[int, ...] = (0, 1)
) -> None:
    check_rows(found, set(wanted), values, OBJECTIVES, Path("s/study.db"))


def test_what_a_driver_wrote_passes() -> None:
    check(rows())


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (rows(seed=7), "trial 1 differs from its digest"),
        (rows(seed="7"), "seed is '7', and must be an integer"),
        (replace(rows(), params={KEY: {0: 0.0, 1: 2.0}}), "trial 1 differs from its digest"),
        (replace(rows(), params={KEY: {0: float("nan"), 1: 1.0}}), "a value of x is not a number"),
        (replace(rows(), states={0: "RUNNING", 1: "LOST"}), "a trial is 'LOST'"),
        (replace(rows(), directions=["min", "min", "max"]), "has other objectives than study.db"),
        (replace(rows(), attributes={layout.REJECTED: {"repeat": "2"}}), "repeat is '2'"),
        (replace(rows(), attributes={layout.LEASE: ["x"]}), r"lease: it holds \['x'\]"),
        (replace(rows(), attributes={layout.LEASE: {"host": []}}), r"lease: host is \[\], and must be a text"),
        (replace(rows(), results={0: rows().results[0]}), "was written by another version"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(found: Rows, why: str) -> None:
    with pytest.raises(UserError, match=why):
        check(found)


@pytest.mark.parametrize("value", [(1, 0, 0.6), (1, 3, 0.5)])
def test_objectives_are_those_of_the_result(value: tuple[int, int, float]) -> None:
    with pytest.raises(UserError, match="the objectives of trial 1 differ from its metrics"):
        check(rows(), [*VALUES, value])


def test_of_a_partial_reading_what_was_asked_for_must_be_there() -> None:
    some = replace(rows(), results={0: rows().results[0]}, params={KEY: {0: 0.0}})
    check(some, [], wanted=(0,))
    with pytest.raises(UserError, match="another version"):
        check(some, [], wanted=(0, 1))
