"""From the rows of the record to frames of trials, times and retrainings."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pandas as pd
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
    json_to_distribution,
)

from results.analysis.rows import Rows
from study_common import layout
from study_common.errors import UserError
from study_common.objectives import Objective

NULLABLE = {"i": "Int64", "b": "boolean"}
"""Column types that hold a missing value, by kind of those that do not."""


def params(rows: Rows) -> tuple[pd.DataFrame, dict[str, BaseDistribution]]:
    """Return one column per parameter (index: number), and their distributions."""
    parts: dict[str, list[pd.Series]] = {}
    for (name, text), values in rows.params.items():
        column = _external(pd.Series(values, dtype=float), _distribution(name, text))
        parts.setdefault(name, []).append(column)
    columns = {}
    for name, some in parts.items():
        column = pd.concat(some)
        if len(column) < len(rows.states):  # a conditional parameter: integers stay so beside the missing
            column = column.astype(NULLABLE.get(column.dtype.kind, column.dtype))
        columns[f"params.{name}"] = column.reindex(list(rows.states))
    return pd.DataFrame(columns, index=list(rows.states)), distributions(rows.params)


def distributions(params: Iterable[tuple[str, str]]) -> dict[str, BaseDistribution]:
    """Return the distributions of `params`, pairs of a name and a distribution as JSON; the last counts."""
    return {name: _distribution(name, text) for name, text in params}


def _distribution(name: str, text: str) -> BaseDistribution:
    try:
        return json_to_distribution(text)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"the distribution of {name} is damaged ({error}); copy the study again") from None


def _external(values: pd.Series, distribution: BaseDistribution) -> pd.Series:
    """Turn stored values into the values that were trained with."""
    if isinstance(distribution, CategoricalDistribution):
        low, high = 0.0, len(distribution.choices) - 1.0
    else:
        assert isinstance(distribution, IntDistribution | FloatDistribution)
        low, high = distribution.low, distribution.high
    whole = isinstance(distribution, FloatDistribution) | (values % 1 == 0)
    if outside := values[~(whole & values.between(low, high))].tolist():
        raise UserError(f"{outside[0]} is outside of {distribution}; copy the study again")
    if isinstance(distribution, CategoricalDistribution):
        choices = pd.Series(list(distribution.choices))
        if choices.dtype == object:  # choices of mixed types have no common column type but text
            choices = choices.astype(str)
        return choices.take(values.to_numpy(int)).set_axis(values.index)
    return values.astype(int) if isinstance(distribution, IntDistribution) else values


def trials(
    rows: Rows,
    params: pd.DataFrame,
    objectives: Mapping[str, Objective],
    constraints: Mapping[str, float],
) -> pd.DataFrame:
    """Return one row per trial: number, state, feasible, params.*, metrics.*, epochs, seed, duration_s, error."""
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
        "duration_s": [float(result["duration_s"]) for result in results],
        "error": pd.array([result["error"] for result in results], dtype="str"),
    }
    parts = [pd.DataFrame(head, index=numbers), params, metrics, pd.DataFrame(tail, index=numbers)]
    return pd.concat(parts, axis=1).reset_index(drop=True)


def spans(rows: Rows) -> pd.DataFrame:
    """Return start and end of each trial."""
    spans = [
        (number, rows.results[number]["started"], rows.results[number]["finished"]) for number in rows.states
    ]
    return _with_times(pd.DataFrame(spans, columns=["number", "started", "finished"]))


def intervals(rows: Rows) -> pd.DataFrame:
    """Return the run intervals that reported something."""
    intervals = [
        {"number": number, **interval}
        for number in rows.states
        for interval in rows.results[number]["intervals"]
        if interval["ended"]
    ]
    return _with_times(pd.DataFrame(intervals, columns=["number", "worker", "started", "ended"]))


def _with_times(frame: pd.DataFrame) -> pd.DataFrame:
    """Return `frame` with its last two columns as UTC times."""
    for column in frame.columns[-2:]:
        try:
            times = pd.to_datetime(frame[column].astype(object), utc=True, format="ISO8601")
        except (ValueError, OverflowError):  # whose text has several lines
            raise UserError(f"a time in the column {column} is not ISO 8601; copy the study again") from None
        frame[column] = times.dt.as_unit("us")
    return frame


def with_metrics(columns: list[str], rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the `columns` of rows, and their metrics as columns metrics.*."""
    head = pd.DataFrame([[row[column] for column in columns] for row in rows], columns=columns)
    return pd.concat([head, _metrics(rows, head.index)], axis=1)


def _metrics(rows: Sequence[Mapping[str, Any]], index: Any) -> pd.DataFrame:
    metrics = pd.DataFrame.from_records([row.get("metrics", {}) for row in rows], index=index)
    return metrics.astype(float).add_prefix("metrics.")
