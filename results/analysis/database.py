"""The record's tables, read in bulk: no other module knows SQL.

Optuna's own `get_trials` builds an object for every parameter, which takes minutes for 100,000 trials; these
few queries take seconds. They rely on the tables of Optuna's RDB storage, and the tests compare both readings.

Every value is checked here, where it enters: the pages of the file, the types, and the objectives against the copy of
them that Optuna keeps.
"""

import json
import math
import os
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from study_common import layout
from study_common.errors import UserError
from study_common.objectives import Objective
from study_common.validation import check

Query = Callable[..., sqlite3.Cursor]

DIRECTIONS = {"MAXIMIZE": "max", "MINIMIZE": "min"}
"""Optuna's words for directions, and ours."""


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


def read_rows(file: Path, name: str, objectives: Mapping[str, Objective]) -> Rows:
    """Read all but the rungs of the study `name` in `file`.

    Raises:
        UserError: No such file or study, or it is damaged, cut short, of other objectives or of another version.
    """
    of_study = "FROM trials JOIN {} USING (trial_id) WHERE study_id = ?"
    every_param = (
        f"SELECT number, param_name, distribution_json, param_value {of_study.format('trial_params')}"
    )
    # json_valid() rejects NaN: the rare result that holds one comes whole.
    short = "CASE WHEN json_valid(value_json) THEN json_remove(value_json, '$.rungs') ELSE value_json END"
    every_result = f"SELECT number, {short} {of_study.format('trial_user_attributes')} AND key = ?"
    every_value = (
        f"SELECT number, objective, value {of_study.format('trial_values')} AND value_type = 'FINITE'"
    )
    with _open(file, name) as (query, study):
        fault = query("PRAGMA quick_check(1)").fetchone()[0]
        if fault != "ok":
            raise sqlite3.DatabaseError(fault)
        for table in ("trials", "study_user_attributes", "study_directions"):
            if query(f"PRAGMA foreign_key_check({table})").fetchone():
                raise sqlite3.DatabaseError(f"a row of {table} is of no study")
        attributes = query("SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", study)
        params: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        for number, parameter, distribution, value in query(f"{every_param} ORDER BY param_id", study):
            params[parameter, distribution][number] = value
        directions = query(
            "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", study
        )
        rows = Rows(
            attributes={key: json.loads(value) for key, value in attributes},
            directions=[DIRECTIONS.get(direction, str(direction)) for (direction,) in directions],
            states=dict(query("SELECT number, state FROM trials WHERE study_id = ? ORDER BY number", study)),
            params=params,
            results={
                number: json.loads(value) for number, value in query(every_result, study, layout.RESULT)
            },
        )
        values = query(every_value, study).fetchall()
    if list(rows.states) != list(range(len(rows.states))):
        raise _damaged(file, "its trials are not numbered 0, 1, 2 and so on")
    foreign = _foreign(rows, file.parent)
    rows = _without(rows, foreign)
    values = [value for value in values if value[0] not in foreign]
    _check(rows, values, objectives, file)
    return rows


def read_rungs(file: Path, name: str, numbers: Sequence[int]) -> dict[int, list[layout.Rung]]:
    """Read the rungs that the trials `numbers` reached."""
    sql = (
        "SELECT number, value_json FROM trials JOIN trial_user_attributes USING (trial_id) "
        "WHERE study_id = ? AND key = ? AND number IN (SELECT value FROM json_each(?)) ORDER BY number"
    )
    with _open(file, name) as (query, study):
        found = query(sql, study, layout.RESULT, json.dumps(list(numbers)))
        rungs = {number: json.loads(value).get("rungs") for number, value in found}
    for number, reached in rungs.items():
        check(reached, list[layout.Rung], f"{file}: the rungs of trial {number}")
    return rungs


@contextmanager
def _open(file: Path, name: str) -> Iterator[tuple[Query, int]]:
    """Give a query function that sees one snapshot of `file`, and the study's key."""
    if not file.is_file():
        raise UserError(f"{file} is missing; copy the whole study directory")
    try:
        with _readable(file) as uri, closing(sqlite3.connect(uri, uri=True)) as connection:

            def query(sql: str, *values: Any) -> sqlite3.Cursor:
                return connection.execute(sql, values)

            query("BEGIN")
            found = query("SELECT study_id FROM studies WHERE study_name = ?", name).fetchone()
            if found is None:
                raise UserError(f"{file} holds no study named {name!r}; copy the whole study directory")
            yield query, found[0]
    except UserError:
        raise
    except (sqlite3.Error, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise _damaged(file, str(error)) from None


@contextmanager
def _readable(file: Path) -> Iterator[str]:
    """Give the URI by which SQLite reads `file`.

    It is opened for writing, though only read, so that SQLite clears away its -wal and -shm files when it closes. Where
    the folder cannot be written they cannot be made either; "immutable" does without, and nobody else can write. What a
    killed driver left in the -wal is read from a copy then.
    """
    log = Path(f"{file}-wal")
    if os.access(file.parent, os.W_OK):
        yield f"{file.absolute().as_uri()}?mode=rw"
    elif not log.exists():
        yield f"{file.absolute().as_uri()}?mode=ro&immutable=1"
    else:
        with TemporaryDirectory(prefix="study-") as scratch:
            for each in (file, log):
                shutil.copyfile(each, Path(scratch, each.name))
            yield f"{Path(scratch, file.name).as_uri()}?mode=rw"


def _foreign(rows: Rows, directory: Path) -> set[int]:
    """Return the numbers of rows that other programs added, such as Optuna's `enqueue_trial`.

    They have no result, and no run. One that has a run lost its result, which is damage.
    """
    return {
        n for n in rows.states.keys() - rows.results if not (directory / layout.TRIALS_DIR / str(n)).exists()
    }


def _without(rows: Rows, numbers: Collection[int]) -> Rows:
    params = {
        key: {number: value for number, value in stored.items() if number not in numbers}
        for key, stored in rows.params.items()
    }
    return replace(
        rows,
        states={number: state for number, state in rows.states.items() if number not in numbers},
        params={key: stored for key, stored in params.items() if stored},
    )


def _check(
    rows: Rows, values: Sequence[tuple[Any, ...]], objectives: Mapping[str, Objective], file: Path
) -> None:
    """Raise a UserError unless all that was read is of the types of the layout, and of one piece."""
    if rows.directions and rows.directions != [objective.direction for objective in objectives.values()]:
        raise UserError(
            f"{file.with_name(layout.REQUEST_FILE)} has other objectives than {file.name}; copy the study again"
        )
    needed = layout.Result.__required_keys__ - {"rungs"}
    if rows.results.keys() != rows.states.keys() or not all(
        isinstance(result, dict) and needed <= result.keys() for result in rows.results.values()
    ):
        raise UserError(
            f"{file} was written by another version; use the version of sgt-pact-study that the [versions] "
            f"table of {layout.REQUEST_FILE} names"
        )
    if unknown := set(rows.states.values()) - layout.STATES.keys():
        raise _damaged(file, f"a trial is {unknown.pop()!r}")
    for number, result in rows.results.items():
        check({**result, "rungs": []}, layout.Result, f"{file}: trial {number}")
    for name, kind in ATTRIBUTES.items():
        if name in rows.attributes:
            check(rows.attributes[name], kind, f"{file}: {name}")
    for (name, _), stored in rows.params.items():
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in stored.values()):
            raise _damaged(file, f"a value of {name} is not a number")
    _check_digests(rows, file)
    for entry in rows.attributes.get(layout.CONFIRMATIONS, []):
        if entry["digest"] != layout.confirmation_digest(entry):
            raise _damaged(file, f"a confirmation of trial {entry['trial']} differs from its digest")
    names = list(objectives)
    for number, position, value in values:
        if position not in range(len(names)) or rows.results[number]["metrics"].get(names[position]) != value:
            raise _damaged(file, f"the objectives of trial {number} differ from its metrics")


def _check_digests(rows: Rows, file: Path) -> None:
    params: dict[int, dict[str, float]] = {number: {} for number in rows.states}
    for (name, _), stored in rows.params.items():
        for number, value in stored.items():
            params[number][name] = value
    for number, result in rows.results.items():
        if "digest" in result and result["digest"] != layout.result_digest(result, params[number]):
            raise _damaged(file, f"trial {number} differs from its digest")


ATTRIBUTES: dict[str, Any] = {
    layout.CONFIRMATIONS: list[layout.Confirmation],
    layout.TEST_READS: list[dict[str, Any]],
    layout.REJECTED: dict[str, int],
}
"""User attributes of the study that are read, and their types."""


def _damaged(file: Path, why: str) -> UserError:
    remedy = "copy the study again while no driver is running"
    reason = " ".join(why.split())  # SQLite writes several lines
    return UserError(f"{file} cannot be read as a record ({reason}); {remedy}")
