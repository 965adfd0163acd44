"""The rows of a record as they were read, and what must hold of them.

Every value is checked where it enters: the types, the digests, and the objectives against the copy of them that Optuna
keeps. `database` reads the rows and checks the pages of the file.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study_common import layout
from study_common.errors import UserError
from study_common.objectives import Objective
from study_common.validation import check


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of one study, in the order of trial numbers, values as Optuna stores them."""

    attributes: dict[str, Any]
    """User attributes of the study."""
    directions: list[str]
    """"max" or "min" of each objective; none while a launch is making the study."""
    states: dict[int, str]
    """number -> Optuna's name of its state."""
    params: dict[tuple[str, str], dict[int, float]]
    """(name, distribution as JSON) -> number -> stored value; a choice is stored as its index."""
    results: dict[int, dict[str, Any]]
    """number -> its `layout.Result`; `rungs` are left out, which are three quarters of the bytes."""
    seen: "Seen"
    """What the next reading need not read again."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What tells whether a trial has changed since it was read. One that had ended does not change any more."""

    states: dict[int, str]
    """number -> Optuna's name of its state."""
    ends: dict[int, str]
    """number of a trial that had not ended -> the last characters of its result, which are its digest."""


def check_rows(
    rows: Rows,
    wanted: Collection[int],
    values: Sequence[tuple[Any, ...]],
    objectives: Mapping[str, Objective],
    file: Path,
) -> None:
    """Raise a UserError unless all that was read is of the types of the layout, and of one piece."""
    if rows.directions and rows.directions != [objective.direction for objective in objectives.values()]:
        raise UserError(
            f"{file.with_name(layout.REQUEST_FILE)} has other objectives than {file.name}; copy the study again"
        )
    needed = layout.Result.__required_keys__ - {"rungs"}
    if rows.results.keys() != wanted or not all(
        isinstance(result, dict) and needed <= result.keys() for result in rows.results.values()
    ):
        raise UserError(
            f"{file} was written by another version; use the version of sgt-pact-study that the [versions] "
            f"table of {layout.REQUEST_FILE} names"
        )
    if unknown := set(rows.states.values()) - layout.STATES.keys():
        raise damaged(file, f"a trial is {unknown.pop()!r}")
    for number, result in rows.results.items():
        check({**result, "rungs": []}, layout.Result, f"{file}: trial {number}")
    for name, kind in ATTRIBUTES.items():
        if name in rows.attributes:
            check(rows.attributes[name], kind, f"{file}: {name}")
    for (name, _), stored in rows.params.items():
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in stored.values()):
            raise damaged(file, f"a value of {name} is not a number")
    _check_digests(rows, file)
    for entry in rows.attributes.get(layout.CONFIRMATIONS, []):
        if entry["digest"] != layout.confirmation_digest(entry):
            raise damaged(file, f"a confirmation of trial {entry['trial']} differs from its digest")
    names = list(objectives)
    for number, position, value in values:
        if position not in range(len(names)) or rows.results[number]["metrics"].get(names[position]) != value:
            raise damaged(file, f"the objectives of trial {number} differ from its metrics")


def _check_digests(rows: Rows, file: Path) -> None:
    params: dict[int, dict[str, float]] = {number: {} for number in rows.results}
    for (name, _), stored in rows.params.items():
        for number, value in stored.items():
            params[number][name] = value
    for number, result in rows.results.items():
        if "digest" in result and result["digest"] != layout.result_digest(result, params[number]):
            raise damaged(file, f"trial {number} differs from its digest")


ATTRIBUTES: dict[str, Any] = {
    layout.CONFIRMATIONS: list[layout.Confirmation],
    layout.TEST_READS: list[dict[str, Any]],
    layout.REJECTED: dict[str, int],
    layout.RESUMED_BY_SAMPLER: int,
    layout.EXHAUSTED: bool,
    layout.START_MODEL: str,
    layout.VERSIONS: list[dict[str, str]],
    layout.LEASE: layout.Holder,
}
"""User attributes of the study that are read, and their types."""


def damaged(file: Path, why: str) -> UserError:
    """Return what is raised of a record that cannot be read."""
    remedy = "copy the study again while no driver is running"
    reason = " ".join(why.split())  # SQLite writes several lines
    return UserError(f"{file} cannot be read as a record ({reason}); {remedy}")
