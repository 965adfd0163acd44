"""The record's tables, read in bulk: no other module knows SQL.

Optuna's own `get_trials` builds an object for every parameter, which takes minutes for 100,000 trials; these
few queries take seconds. They rely on the tables of Optuna's RDB storage, and the tests compare both readings.
"""

import json
import os
import shutil
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from results.analysis.rows import Rows, Seen, check_rows, damaged
from study_common import layout
from study_common.errors import UserError
from study_common.files import refuse_links
from study_common.objectives import Objective
from study_common.validation import check

Query = Callable[..., sqlite3.Cursor]

DIRECTIONS = {"MAXIMIZE": "max", "MINIMIZE": "min"}
"""Optuna's words for directions, and ours."""


ENDED = ("COMPLETE", "PRUNED", "FAIL")
"""States in which Optuna lets nobody change a trial."""

LARGEST_VALUE = 2**26
"""Bytes of a value; those of real records have thousands."""

BESIDE = ("-wal", "-shm")
"""Ends of the names of the files that SQLite has beside a record."""

END_CHARACTERS = 64
"""Characters at the end of a stored result that hold its digest."""


def read_rows(file: Path, name: str, objectives: Mapping[str, Objective], seen: Seen | None = None) -> Rows:
    """Read all but the rungs of the study `name` in `file`.

    Args:
        file: The record.
        name: Of the study.
        objectives: Of the study.
        seen: What an earlier reading of the same file saw. `params` and `results` are then those of the trials that
            are new or have changed, and pages of the file that hold others are not checked.

    Raises:
        UserError: No such file or study, or it is damaged, cut short, of other objectives or of another version.
    """
    with _open(file, name) as (query, study):
        if seen is None:
            _check_pages(query)
        attributes = query("SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", study)
        directions = query(
            "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", study
        )
        keys = "SELECT number, state, trial_id FROM trials WHERE study_id = ? ORDER BY number"
        trials = query(keys, study).fetchall()
        states = {number: state for number, state, _ in trials}
        ends = _ends(query, [key for _, state, key in trials if state not in ENDED])
        wanted = states.keys() if seen is None else _changed(states, ends, seen)
        some = None if seen is None else [key for number, _, key in trials if number in wanted]
        params, results, values = _read(query, study, some)
        rows = Rows(
            attributes={key: json.loads(value) for key, value in attributes},
            directions=[DIRECTIONS.get(direction, str(direction)) for (direction,) in directions],
            states=states,
            params=params,
            results=results,
            seen=Seen(states=states, ends=ends),
        )
    if list(states) != list(range(len(states))):
        raise damaged(file, "its trials are not numbered 0, 1, 2 and so on")
    foreign = _foreign(wanted - results.keys(), file.parent)
    rows = _without(rows, foreign)
    values = [value for value in values if value[0] not in foreign]
    check_rows(rows, wanted - foreign, values, objectives, file)
    return rows


def _check_pages(query: Query) -> None:
    fault = query("PRAGMA quick_check(1)").fetchone()[0]
    if fault != "ok":
        raise sqlite3.DatabaseError(fault)
    for table in ("trials", "study_user_attributes", "study_directions"):
        if query(f"PRAGMA foreign_key_check({table})").fetchone():
            raise sqlite3.DatabaseError(f"a row of {table} is of no study")


def _ends(query: Query, ids: Sequence[int]) -> dict[int, str]:
    """Return the last characters of the results of the trials in the rows `ids`, by their numbers."""
    sql = (
        f"SELECT number, substr(value_json, -{END_CHARACTERS}) FROM trials JOIN trial_user_attributes "
        "USING (trial_id) WHERE trial_id IN (SELECT value FROM json_each(?)) AND key = ?"
    )
    return dict(query(sql, json.dumps(ids), layout.RESULT))


def _changed(states: Mapping[int, str], ends: Mapping[int, str], seen: Seen) -> set[int]:
    """Return the numbers of the trials that are new, or may have changed since."""

    def is_as_before(number: int, state: str) -> bool:
        if seen.states.get(number) != state:
            return False
        end = ends.get(number, "")
        return state in ENDED or ('"digest"' in end and seen.ends.get(number) == end)

    return {number for number, state in states.items() if not is_as_before(number, state)}


def _read(
    query: Query, study: int, ids: Sequence[int] | None
) -> tuple[dict[tuple[str, str], dict[int, float]], dict[int, dict[str, Any]], list[tuple[Any, ...]]]:
    """Return parameters and results, as in `Rows`, and the objective values: of all trials, or of the rows `ids`."""
    some = "" if ids is None else "AND trial_id IN (SELECT value FROM json_each(?))"
    given = () if ids is None else (json.dumps(ids),)
    of_study = f"FROM trials JOIN {{}} USING (trial_id) WHERE study_id = ? {some}"
    every_param = (
        f"SELECT number, param_name, distribution_json, param_value {of_study.format('trial_params')}"
    )
    # json_valid() rejects NaN: the rare result that holds one comes whole.
    short = "CASE WHEN json_valid(value_json) THEN json_remove(value_json, '$.rungs') ELSE value_json END"
    every_result = f"SELECT number, {short} {of_study.format('trial_user_attributes')} AND key = ?"
    every_value = (
        f"SELECT number, objective, value {of_study.format('trial_values')} AND value_type = 'FINITE'"
    )
    params: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
    for number, parameter, distribution, value in query(f"{every_param} ORDER BY param_id", study, *given):
        params[parameter, distribution][number] = value
    results = {
        number: json.loads(value) for number, value in query(every_result, study, *given, layout.RESULT)
    }
    return params, results, query(every_value, study, *given).fetchall()


def read_rungs(file: Path, name: str, numbers: Sequence[int]) -> dict[int, list[layout.Rung]]:
    """Read the rungs that the trials `numbers` reached."""
    sql = (
        "SELECT number, value_json FROM trials JOIN trial_user_attributes USING (trial_id) "
        "WHERE study_id = ? AND key = ? AND number IN (SELECT value FROM json_each(?)) ORDER BY number"
    )
    with _open(file, name) as (query, study):
        found = query(sql, study, layout.RESULT, json.dumps(list(numbers)))
        results = {number: json.loads(value) for number, value in found}
    for number, result in results.items():
        check(result.get("rungs"), list[layout.Rung], f"{file}: the rungs of trial {number}")
        if "rungs_digest" in result and result["rungs_digest"] != layout.rungs_digest(result["rungs"]):
            raise damaged(file, f"the rungs of trial {number} differ from their digest")
    return {number: result["rungs"] for number, result in results.items()}


@contextmanager
def _open(file: Path, name: str) -> Iterator[tuple[Query, int]]:
    """Give a query function that sees one snapshot of `file`, and the study's key."""
    for end in ("", *BESIDE):
        refuse_links(Path(f"{file}{end}"), file.parent)
    if not file.is_file():
        raise UserError(f"{file} is missing; copy the whole study directory")
    try:
        with _readable(file) as uri, closing(sqlite3.connect(uri, uri=True)) as connection:

            def query(sql: str, *values: Any) -> sqlite3.Cursor:
                return connection.execute(sql, values)

            connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
            query("BEGIN")
            if query("SELECT 1 FROM sqlite_master WHERE type IN ('view', 'trigger')").fetchone():
                raise damaged(file, "it has views or triggers, and a record has none")
            found = query("SELECT study_id FROM studies WHERE study_name = ?", name).fetchone()
            if found is None:
                raise UserError(f"{file} holds no study named {name!r}; copy the whole study directory")
            yield query, found[0]
    except UserError:
        raise
    except (sqlite3.Error, ValueError, TypeError, AttributeError, RecursionError, OverflowError) as error:
        raise damaged(file, str(error)) from None


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


def _foreign(without_result: Collection[int], directory: Path) -> set[int]:
    """Return the numbers of rows that other programs added, such as Optuna's `enqueue_trial`.

    They have no result, and no run. One that has a run lost its result, which is damage.
    """
    return {n for n in without_result if not (directory / layout.TRIALS_DIR / str(n)).exists()}


def _without(rows: Rows, numbers: Collection[int]) -> Rows:
    if not numbers:
        return rows
    params = {
        key: {number: value for number, value in stored.items() if number not in numbers}
        for key, stored in rows.params.items()
    }
    states = {number: state for number, state in rows.states.items() if number not in numbers}
    return replace(
        rows,
        states=states,
        params={key: stored for key, stored in params.items() if stored},
        seen=replace(rows.seen, states=states),
    )
