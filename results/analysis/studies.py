"""Reading a study directory into pandas, with neither Ray nor torch nor a running driver.

``study.toml`` says what was asked, ``study.db`` what happened, ``trials/<number>/`` holds what each trial
left.
"""

import os
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    IntDistribution,
    json_to_distribution,
)

from results.analysis import database
from study_common import layout
from study_common.errors import UserError
from study_common.objectives import Objective

NULLABLE = {"i": "Int64", "b": "boolean"}
"""Column types that hold a missing value, by kind of those that do not."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """A study as its directory tells it."""

    name: str
    path: Path
    request: dict[str, Any]
    """The document of ``study.toml``."""
    objectives: dict[str, Objective]
    trials: pd.DataFrame
    """By number: number, state, feasible, params.*, metrics.*, epochs, seed, duration_s, error."""
    spans: pd.DataFrame
    """From its start to its end, one row a trial: number, started, finished (UTC; NaT while running)."""
    intervals: pd.DataFrame
    """Who trained it when, one row from each start to a pause or the end: number, worker, started, ended (UTC)."""
    confirmations: pd.DataFrame
    """One row a retraining of ``study.confirm``: trial, seed, refit, time, metrics.* on the test split."""
    test_reads: list[dict[str, Any]]
    """Every look at the test split, as ``study.confirm`` logged it."""
    rejected: dict[str, int]
    """Configurations rejected before training: ``infeasible`` and ``repeat``."""
    distributions: dict[str, BaseDistribution]
    """The searched parameters by flat name, as Optuna knows them."""

    @property
    def directions(self) -> dict[str, str]:
        """The objectives as :func:`results.front` takes them: ``{"accuracy": "max", "flops": "min"}``."""
        return {name: objective.direction for name, objective in self.objectives.items()}


def load(path: str | os.PathLike[str]) -> Study:
    """Read the study directory ``path``, at any moment of its life; O(trials x parameters).

    Raises:
        ValueError: no study there, one of another version, or a record that is damaged or cut short.
    """
    path = Path(path)
    request = _request(path / layout.REQUEST_FILE)
    objectives, constraints = _goals(request, path / layout.REQUEST_FILE)
    rows = rows_of(path, request, objectives)
    params, distributions = _params(rows)
    return Study(
        name=request["name"],
        path=path,
        request=request,
        objectives=objectives,
        trials=_trials(rows, params, objectives, constraints),
        spans=_spans(rows),
        intervals=_intervals(rows),
        confirmations=_with_metrics(
            ["trial", "seed", "refit", "time"], rows.attributes.get(layout.CONFIRMATIONS, [])
        ),
        test_reads=rows.attributes.get(layout.TEST_READS, []),
        rejected=rows.attributes.get(layout.REJECTED, {}),
        distributions=distributions,
    )


def curves(study: Study, numbers: Sequence[int]) -> pd.DataFrame:
    """Return how the trials ``numbers`` learned: number, epoch, seconds, metrics.*, one row an epoch.

    A trial without a readable ``curve.csv`` has one row a rung, from the record.
    """
    frames, bare = [], []
    for number in numbers:
        file = study.path / layout.TRIALS_DIR / str(number) / layout.CURVE_FILE
        try:
            frames.append(_curve(number, file))
        except (OSError, ValueError):  # not copied, or cut short
            bare.append(number)
    rungs = database.rungs(study.path / layout.RECORD_FILE, study.name, bare)
    rows = [{"number": number, **rung} for number, reached in rungs.items() for rung in reached]
    frames.append(_with_metrics(["number", "epoch", "seconds"], rows))
    return pd.concat([frame for frame in frames if len(frame)] or frames, ignore_index=True)


def _curve(number: int, file: Path) -> pd.DataFrame:
    frame = pd.read_csv(file)
    plain = ("epoch", "seconds")
    frame = frame.rename(columns={name: f"metrics.{name}" for name in frame.columns if name not in plain})
    frame.insert(0, "number", number)
    return frame


def _request(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"{file.parent} is not a study: it has no {file.name}; give a study's directory.")
    try:
        request = tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{file} cannot be read ({error}); copy the study again.") from None
    if request.get("format", layout.FORMAT) != layout.FORMAT:
        raise UserError(
            f"{file} has format {request['format']!r} and this version reads {layout.FORMAT}; "
            "use the version of sgt-pact-study that its [versions] table names."
        )
    if missing := {"format", "name", "objectives", "constraints"} - request.keys():
        raise UserError(f"{file} lacks {', '.join(sorted(missing))}; copy the study again.")
    return request


def _goals(request: Mapping[str, Any], file: Path) -> tuple[dict[str, Objective], dict[str, float]]:
    """Return the objectives and the constraints."""
    try:
        objectives = {name: Objective(**table) for name, table in request["objectives"].items()}
        return objectives, {**request["constraints"]}
    except (TypeError, AttributeError):
        raise UserError(f"{file} does not tell its objectives whole; copy the study again.") from None


def rows_of(path: Path, request: Mapping[str, Any], objectives: Mapping[str, Objective]) -> database.Rows:
    """Return the rows of the study in `path`, of this request and these objectives; ValueError for others."""
    file, storage = path / layout.RECORD_FILE, request.get("request", {}).get("storage")
    if storage and not file.is_file():
        raise UserError(
            f"{file} is not there yet: the record is in {storage} and is copied here when the driver ends; "
            f"python -m study.resume {path.name} writes it."
        )
    rows = database.rows(file, request["name"])
    if rows.directions and rows.directions != [objective.direction for objective in objectives.values()]:
        raise UserError(
            f"{path / layout.REQUEST_FILE} has other objectives than {layout.RECORD_FILE}; copy the study again."
        )
    needed = layout.Result.__required_keys__ - {"rungs"}  # those are read when they are drawn
    if rows.results.keys() != rows.states.keys() or not all(
        needed <= r.keys() for r in rows.results.values()
    ):
        raise UserError(
            f"{file} was written by another version; use the version of sgt-pact-study that the [versions] "
            f"table of {layout.REQUEST_FILE} names."
        )
    return rows


def _params(rows: database.Rows) -> tuple[pd.DataFrame, dict[str, BaseDistribution]]:
    """Return one column a parameter (index: number), and their distributions."""
    distributions: dict[str, BaseDistribution] = {}
    parts: dict[str, list[pd.Series]] = {}
    for (name, text), values in rows.params.items():
        distributions[name] = json_to_distribution(text)
        parts.setdefault(name, []).append(_external(pd.Series(values, dtype=float), distributions[name]))
    columns = {}
    for name, some in parts.items():
        column = pd.concat(some)
        if len(column) < len(rows.states):  # a conditional parameter: integers stay so beside the missing
            column = column.astype(NULLABLE.get(column.dtype.kind, column.dtype))
        columns[f"params.{name}"] = column.reindex(list(rows.states))
    return pd.DataFrame(columns, index=list(rows.states)), distributions


def _external(values: pd.Series, distribution: BaseDistribution) -> pd.Series:
    """Turn stored values into the values that were trained with."""
    if isinstance(distribution, CategoricalDistribution):
        choices = pd.Series(list(distribution.choices))
        if choices.dtype == object:  # choices of mixed types have no common column type but text
            choices = choices.astype(str)
        return choices.take(values.to_numpy(int)).set_axis(values.index)
    return values.astype(int) if isinstance(distribution, IntDistribution) else values


def _trials(
    rows: database.Rows,
    params: pd.DataFrame,
    objectives: Mapping[str, Objective],
    constraints: Mapping[str, float],
) -> pd.DataFrame:
    numbers = list(rows.states)
    results = [rows.results[number] for number in numbers]
    metrics = _metrics(results, numbers)
    for name in [*objectives, *constraints]:
        metrics[f"metrics.{name}"] = metrics.get(f"metrics.{name}", float("nan"))
    bounds = [metrics[f"metrics.{name}"] <= bound for name, bound in constraints.items()]
    head = {
        "number": numbers,
        "state": pd.array([layout.STATES[state] for state in rows.states.values()], dtype="str"),
        "feasible": pd.concat(bounds, axis=1).all(axis=1) if bounds else True,
    }
    tail = {
        "epochs": [result["epochs"] for result in results],
        "seed": pd.array([result["seed"] for result in results], dtype="Int64"),
        "duration_s": [result["duration_s"] for result in results],
        "error": pd.array([result["error"] for result in results], dtype="str"),
    }
    parts = [pd.DataFrame(head, index=numbers), params, metrics, pd.DataFrame(tail, index=numbers)]
    return pd.concat(parts, axis=1).reset_index(drop=True)


def _spans(rows: database.Rows) -> pd.DataFrame:
    spans = [{"number": number, **rows.results[number]} for number in rows.states]
    return _with_times(pd.DataFrame(spans, columns=["number", "started", "finished"]))


def _intervals(rows: database.Rows) -> pd.DataFrame:
    """Return the intervals that reported something."""
    intervals = [
        {"number": number, **interval}
        for number, result in rows.results.items()
        for interval in result["intervals"]
        if interval["ended"]
    ]
    return _with_times(pd.DataFrame(intervals, columns=["number", "worker", "started", "ended"]))


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Return ``frame`` with its last two columns as UTC times."""
    for column in frame.columns[-2:]:
        times = pd.to_datetime(frame[column].astype(object), utc=True, format="ISO8601")
        frame[column] = times.dt.as_unit("us")
    return frame


def _with_metrics(columns: list[str], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    head = pd.DataFrame([[row[column] for column in columns] for row in rows], columns=columns)
    return pd.concat([head, _metrics(rows, head.index)], axis=1)


def _metrics(rows: Sequence[Mapping[str, Any]], index: Any) -> pd.DataFrame:
    metrics = pd.DataFrame.from_records([row.get("metrics", {}) for row in rows], index=index)
    return metrics.astype(float).add_prefix("metrics.")
