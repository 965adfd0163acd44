"""Reading a study directory into pandas, with neither Ray nor torch nor a running driver.

``study.toml`` says what was asked, ``study.db`` what happened. The record is read with a handful of bulk SQL queries:
Optuna's own ``get_trials`` builds one ORM object a parameter and takes 70 s for 100,000 trials, this about 8 s. The tests hold
both to the same answer.
"""

import json
import os
import sqlite3
import tomllib
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution, json_to_distribution

from results import record


@dataclass(frozen=True, kw_only=True)
class Objective:
    """What is optimised, and the fixed pair of values that its hypervolume is normalised to."""

    direction: str
    """``"max"`` or ``"min"``."""
    ideal: float
    """The value that counts 1."""
    reference: float
    """The value that counts 0; anything worse adds nothing."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as its directory tells it. Frames have one row a trial unless said otherwise, ordered by number."""

    name: str
    path: Path
    request: dict[str, Any]
    """The document of ``study.toml``."""
    objectives: dict[str, Objective]
    trials: pd.DataFrame
    """number, state, feasible, params.*, metrics.*, epochs, seed, duration_s, error: the columns of ``trials.parquet``."""
    rungs: pd.DataFrame
    """number, epoch, seconds, metrics.*: one row a rung that a trial reached."""
    spans: pd.DataFrame
    """number, worker, started, finished (UTC; NaT while running)."""
    confirmations: pd.DataFrame
    """trial, seed, refit, time, metrics.* on the test split: one row a retraining of ``study.confirm``."""
    refused: dict[str, int]
    """Configurations refused before training: ``infeasible`` and ``repeat``."""
    distributions: dict[str, BaseDistribution]
    """The searched parameters by flat name, as Optuna knows them."""

    @property
    def directions(self) -> dict[str, str]:
        """The objectives as :func:`results.front` takes them: ``{"accuracy": "max", "flops": "min"}``."""
        return {name: objective.direction for name, objective in self.objectives.items()}


def load(path: str | os.PathLike[str]) -> Study:
    """Read the study directory ``path``; O(trials x parameters). A running study may be read at any moment.

    Raises:
        ValueError: no study there, one of another version, or a record that is damaged or cut short.
    """
    path = Path(path)
    request = _request(path)
    attributes, trials, params, results = _rows(path / record.RECORD_FILE, request["name"])
    columns, distributions = _params([number for number, _ in trials], params)
    parsed = _results(path, trials, results)
    objectives = {name: Objective(**pair) for name, pair in request["objectives"].items()}
    return Study(
        name=request["name"],
        path=path,
        request=request,
        objectives=objectives,
        trials=_trials(trials, columns, parsed, objectives, request.get("constraints", {})),
        rungs=_rungs(parsed),
        spans=_spans(parsed),
        confirmations=_confirmations(attributes.get(record.CONFIRMATIONS, [])),
        refused=attributes.get(record.REFUSED, {}),
        distributions=distributions,
    )


def _request(path: Path) -> dict[str, Any]:
    file = path / record.REQUEST_FILE
    if not file.is_file():
        raise ValueError(f"{path} is not a study: it has no {record.REQUEST_FILE}; give a study's directory.")
    try:
        request = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} cannot be read ({error}); copy the study again.") from None
    if request.get("format") != record.FORMAT:
        raise ValueError(
            f"{file} has format {request.get('format')!r} and this version reads {record.FORMAT}; "
            "use the version of sgt-pact-study that its [versions] table names."
        )
    if missing := {"name", "objectives"} - request.keys():
        raise ValueError(f"{file} lacks {', '.join(sorted(missing))}; copy the study again.")
    return request


def _rows(file: Path, name: str) -> tuple[dict[str, Any], list[tuple[int, str]], list[tuple[Any, ...]], dict[int, str]]:
    """Return the study's attributes, (number, state) and (number, parameter, value, distribution) rows, and results."""
    if not file.is_file():
        raise ValueError(f"{file} is missing; copy the whole study directory.")
    # A WAL database in a folder that cannot be written opens only as immutable, which is safe when nobody has it open.
    frozen = not os.access(file.parent, os.W_OK) and not Path(f"{file}-wal").exists()
    uri = f"{file.absolute().as_uri()}?mode=ro{'&immutable=1' if frozen else ''}"
    mine = "FROM trials JOIN {} USING (trial_id) WHERE study_id = ?"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            connection.execute("BEGIN")  # one snapshot for all the queries

            def query(sql: str, *values: Any) -> list[Any]:
                return connection.execute(sql, values).fetchall()

            found = query("SELECT study_id FROM studies WHERE study_name = ?", name)
            if not found:
                raise ValueError(f"{file} holds no study named {name!r}; copy the whole study directory.")
            study = found[0][0]
            attributes = query("SELECT key, value_json FROM study_user_attributes WHERE study_id = ?", study)
            trials = query("SELECT number, state FROM trials WHERE study_id = ? ORDER BY number", study)
            columns = "SELECT number, param_name, param_value, distribution_json "
            params = query(columns + mine.format("trial_params") + " ORDER BY param_id", study)
            results = query(
                "SELECT number, value_json " + mine.format("trial_user_attributes") + " AND key = ?", study, record.RESULT
            )
    except sqlite3.DatabaseError as error:
        raise ValueError(
            f"{file} cannot be read as a record ({error}); copy the study again while no driver is running."
        ) from None
    return {key: json.loads(value) for key, value in attributes}, trials, params, dict(results)


def _params(
    numbers: Sequence[int], rows: list[tuple[Any, ...]]
) -> tuple[dict[str, pd.Series], dict[str, BaseDistribution]]:
    """Return one column a parameter, and its distribution. Optuna stores a choice as its index."""
    frame = pd.DataFrame(rows, columns=["number", "name", "value", "distribution"])
    columns: dict[str, pd.Series] = {}
    distributions: dict[str, BaseDistribution] = {}
    for name, group in frame.groupby("name", sort=False):
        parts = []
        for text, part in group.groupby("distribution", sort=False):
            distribution = distributions[str(name)] = json_to_distribution(str(text))
            parts.append(_external(part.set_index("number")["value"], distribution))
        column = pd.concat(parts)
        if len(column) < len(numbers):  # a conditional parameter: integers stay integers beside the missing
            column = column.convert_dtypes(convert_floating=False)
        columns[f"params.{name}"] = column.reindex(numbers)
    return columns, distributions


def _external(values: pd.Series, distribution: BaseDistribution) -> pd.Series:
    if isinstance(distribution, CategoricalDistribution):
        choices = pd.Series(list(distribution.choices))
        if choices.dtype == object:  # choices of mixed types have no common column type but text
            choices = choices.astype(str)
        return choices.take(values.astype(int)).set_axis(values.index)
    return values.astype(int) if isinstance(distribution, IntDistribution) else values


def _results(path: Path, trials: list[tuple[int, str]], texts: dict[int, str]) -> dict[int, dict[str, Any]]:
    """Return the :class:`record.Result` of each trial in order; an empty one for a trial that has not reported yet."""
    results = {}
    for number, _ in trials:
        try:
            results[number] = json.loads(texts.get(number, "{}"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}: the result of trial {number} is damaged ({error}); copy the study again.") from None
    return results


def _metrics(rows: Sequence[dict[str, Any]], index: Any) -> pd.DataFrame:
    return pd.DataFrame.from_records([row.get("metrics", {}) for row in rows], index=index).astype(float).add_prefix("metrics.")


def _trials(
    rows: list[tuple[int, str]],
    params: dict[str, pd.Series],
    results: dict[int, dict[str, Any]],
    objectives: dict[str, Objective],
    constraints: dict[str, float],
) -> pd.DataFrame:
    numbers = list(results)
    metrics = _metrics(list(results.values()), numbers)
    for name in objectives.keys() | constraints.keys():
        metrics[f"metrics.{name}"] = metrics.get(f"metrics.{name}", float("nan"))
    feasible = pd.Series(True, index=numbers)
    for name, bound in constraints.items():
        feasible &= metrics[f"metrics.{name}"] <= bound
    values = list(results.values())
    tail = {
        "epochs": [value.get("epochs", 0) for value in values],
        "seed": pd.array([value.get("seed") for value in values], dtype="Int64"),
        "duration_s": [value.get("duration_s", float("nan")) for value in values],
        "error": pd.array([value.get("error") for value in values], dtype="str"),
    }
    head = {"number": numbers, "state": [record.STATES[state] for _, state in rows], "feasible": feasible}
    frame = pd.concat(
        [pd.DataFrame(head, index=numbers), pd.DataFrame(params, index=numbers), metrics, pd.DataFrame(tail, index=numbers)],
        axis=1,
    )
    return frame.reset_index(drop=True)


def _rungs(results: dict[int, dict[str, Any]]) -> pd.DataFrame:
    rungs = [(number, rung) for number, result in results.items() for rung in result.get("rungs", [])]
    head = pd.DataFrame(
        [(number, rung["epoch"], rung["seconds"]) for number, rung in rungs], columns=["number", "epoch", "seconds"]
    )
    return pd.concat([head, _metrics([rung for _, rung in rungs], head.index)], axis=1)


def _spans(results: dict[int, dict[str, Any]]) -> pd.DataFrame:
    frame = pd.DataFrame({"number": list(results)})
    frame["worker"] = [result.get("worker", "") for result in results.values()]
    for column in ("started", "finished"):
        times = [result.get(column) for result in results.values()]
        frame[column] = pd.to_datetime(pd.Series(times, dtype=object), utc=True, format="ISO8601")
    return frame


def _confirmations(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["trial", "seed", "refit", "time"]
    head = pd.DataFrame([[row[column] for column in columns] for row in rows], columns=columns)
    return pd.concat([head, _metrics(rows, head.index)], axis=1)
