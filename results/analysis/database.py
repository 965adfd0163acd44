"""The record's tables, read in bulk: no other module knows SQL.

Optuna's own ``get_trials`` builds an object for every parameter, which takes minutes for 100,000 trials; these
few queries take seconds. They lean on the tables of Optuna's RDB storage, and the tests hold both to the same
answer.
"""

import json
import os
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study_common import layout
from study_common.errors import UserError

Query = Callable[..., sqlite3.Cursor]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """The rows of one study, in the order of trial numbers, values as Optuna stores them."""

    attributes: dict[str, Any]
    """User attributes of the study."""
    directions: list[str]
    """``"max"`` or ``"min"`` of each objective; none while a launch is making the study."""
    states: dict[int, str]
    """number -> Optuna's name of its state."""
    params: dict[tuple[str, str], dict[int, float]]
    """(name, distribution as JSON) -> number -> stored value; a choice is stored as its index."""
    results: dict[int, dict[str, Any]]
    """number -> its :class:`record.Result` without ``rungs``, which are three quarters of the bytes."""


def rows(file: Path, name: str) -> Rows:
    """Read all but the rungs of the study ``name`` in ``file``.

    Raises:
        ValueError: no such file or study, or it is damaged or cut short.
    """
    of_study = "FROM trials JOIN {} USING (trial_id) WHERE study_id = ?"
    every_param = (
        f"SELECT number, param_name, distribution_json, param_value {of_study.format('trial_params')}"
    )
    # json_valid() refuses NaN: the rare result that holds one comes whole.
    short = "CASE WHEN json_valid(value_json) THEN json_remove(value_json, '$.rungs') ELSE value_json END"
    every_result = f"SELECT number, {short} {of_study.format('trial_user_attributes')} AND key = ?"
    with _open(file, name) as (query, study):
        attributes = query("SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", study)
        params: dict[tuple[str, str], dict[int, float]] = defaultdict(dict)
        for number, parameter, distribution, value in query(f"{every_param} ORDER BY param_id", study):
            params[parameter, distribution][number] = value
        return Rows(
            attributes={key: json.loads(value) for key, value in attributes},
            directions=[
                {"MAXIMIZE": "max", "MINIMIZE": "min"}[direction]
                for (direction,) in query(
                    "SELECT direction FROM study_directions WHERE study_id = ? ORDER BY objective", study
                )
            ],
            states=dict(query("SELECT number, state FROM trials WHERE study_id = ? ORDER BY number", study)),
            params=params,
            results={
                number: json.loads(value) for number, value in query(every_result, study, layout.RESULT)
            },
        )


def rungs(file: Path, name: str, numbers: Sequence[int]) -> dict[int, list[layout.Rung]]:
    """Read the rungs that the trials ``numbers`` reached."""
    sql = (
        "SELECT number, value_json FROM trials JOIN trial_user_attributes USING (trial_id) "
        "WHERE study_id = ? AND key = ? AND number IN (SELECT value FROM json_each(?)) ORDER BY number"
    )
    with _open(file, name) as (query, study):
        found = query(sql, study, layout.RESULT, json.dumps(list(numbers)))
        return {number: json.loads(value).get("rungs", []) for number, value in found}


@contextmanager
def _open(file: Path, name: str) -> Iterator[tuple[Query, int]]:
    """Give a query function that sees one snapshot of ``file``, and the study's key."""
    if not file.is_file():
        raise UserError(f"{file} is missing; copy the whole study directory.")
    # Opened for writing, though only read, so that SQLite clears away its -wal and -shm files when it closes. Where
    # the folder cannot be written they cannot be made either; "immutable" does without, and nobody else can write.
    frozen = not os.access(file.parent, os.W_OK) and not Path(f"{file}-wal").exists()
    connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=rw{'&immutable=1' * frozen}", uri=True)

    def query(sql: str, *values: Any) -> sqlite3.Cursor:
        return connection.execute(sql, values)

    try:
        query("BEGIN")
        found = query("SELECT study_id FROM studies WHERE study_name = ?", name).fetchone()
        if found is None:
            raise UserError(f"{file} holds no study named {name!r}; copy the whole study directory.")
        yield query, found[0]
    except (sqlite3.DatabaseError, json.JSONDecodeError) as error:
        remedy = "copy the study again while no driver is running"
        raise UserError(f"{file} cannot be read as a record ({error}); {remedy}.") from None
    finally:
        connection.close()
