"""A study that is read again and again while its driver writes: what has not changed since is not read again.

A look says the same as `results.load` at that moment. It takes seconds for the first time, and tenths of a second
thereafter, for 100,000 trials.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from results.analysis import frames
from results.analysis.rows import Rows, Seen
from results.analysis.studies import Study, rows_of, study_of
from study_common import layout
from study_common.errors import UserError, located
from study_common.objectives import Objective


@dataclass(frozen=True, kw_only=True)
class Look:
    """A study as it was at one moment."""

    study: Study
    states: dict[int, str]
    """number -> Optuna's name of its state."""
    attributes: dict[str, Any]
    """User attributes of the study."""
    workers: dict[int, str]
    """number -> who trained it last; "" if nobody has reported of it since it was started or resumed."""


@dataclass(frozen=True, kw_only=True)
class _Known:
    """The last look, and what the next one needs to add to it."""

    source: tuple[Any, ...]
    """The file that was read, and the request."""
    look: Look
    seen: Seen
    metrics: dict[int, tuple[str, ...]]
    """number -> the names of its metrics, in their order."""
    params: dict[tuple[str, str], None]
    """Parameters and their distributions, in their order."""


class Following:
    """Looks at one study."""

    def __init__(self) -> None:
        self._known: _Known | None = None

    def look(
        self, path: Path, request: dict[str, Any], objectives: dict[str, Objective], *, is_driven: bool
    ) -> Look:
        """Return how the study in `path` stands.

        Args:
            path: Its directory.
            request: The document of its `study.toml`.
            objectives: Of the study.
            is_driven: Whether a driver holds it. Nobody else writes then, and only what changed since the last look is
                read. Otherwise everything is, with all checks.

        Raises:
            UserError: As `results.load`.
        """
        file = path / layout.RECORD_FILE
        source = request, str(path), _identity(file)
        known = self._known if is_driven and self._known and self._known.source == source else None
        self._known = None
        if known:
            try:
                self._known = _next(known, path, request, objectives)
            except UserError:
                known = None  # what is wrong, a reading of everything says
        if known is None:
            self._known = _first(source, path, request, objectives)
        assert self._known
        return self._known.look


def _identity(file: Path) -> tuple[int, int]:
    try:
        found = os.stat(file)
        return found.st_dev, found.st_ino
    except OSError:
        return 0, 0


def _first(
    source: tuple[Any, ...], path: Path, request: dict[str, Any], objectives: dict[str, Objective]
) -> _Known:
    rows = rows_of(path, request, objectives)
    with located(str(path / layout.RECORD_FILE)):
        study = study_of(path, request, objectives, rows)
    return _Known(
        source=source,
        look=Look(study=study, states=rows.states, attributes=rows.attributes, workers=_workers(rows)),
        seen=rows.seen,
        metrics=_metric_names(rows),
        params=dict.fromkeys(rows.params),
    )


def _next(known: _Known, path: Path, request: dict[str, Any], objectives: dict[str, Objective]) -> _Known:
    rows = rows_of(path, request, objectives, known.seen)
    changed = replace(rows, states={number: rows.states[number] for number in sorted(rows.results)})
    last, metrics = known.look.study, known.metrics | _metric_names(changed)
    params = known.params | dict.fromkeys(rows.params)
    with located(str(path / layout.RECORD_FILE)):
        new = study_of(path, request, objectives, changed)
        distributions = frames.distributions(params)
    bounded = [*objectives, *request["constraints"]]
    names = dict.fromkeys([*(name for one in _distinct(metrics) for name in one), *bounded])
    columns = [
        *("number", "state", "feasible"),
        *(f"params.{name}" for name in distributions),
        *(f"metrics.{name}" for name in names),
        *("epochs", "seed", "duration_s", "error"),
    ]
    study = replace(
        new,
        trials=spliced(last.trials, new.trials, columns),
        spans=spliced(last.spans, new.spans, [*map(str, last.spans)]),
        intervals=spliced(last.intervals, new.intervals, [*map(str, last.intervals)], new.trials["number"]),
        distributions=distributions,
        memory=last.memory,
    )
    workers = known.look.workers | _workers(changed)
    look = Look(study=study, states=rows.states, attributes=rows.attributes, workers=workers)
    return replace(known, look=look, seen=rows.seen, metrics=metrics, params=params)


def _workers(rows: Rows) -> dict[int, str]:
    return {
        number: (result["intervals"] or [{"worker": ""}])[-1]["worker"]
        for number, result in rows.results.items()
    }


def _metric_names(rows: Rows) -> dict[int, tuple[str, ...]]:
    same: dict[tuple[str, ...], tuple[str, ...]] = {}  # equal ones are one object
    found = ((number, tuple(rows.results[number]["metrics"])) for number in rows.states)
    return {number: same.setdefault(names, names) for number, names in found}


def _distinct(metrics: dict[int, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return what the trials have, in the order of the first trial of each."""
    return list(dict.fromkeys(metrics[number] for number in sorted(metrics)))


def spliced(
    old: pd.DataFrame, new: pd.DataFrame, columns: Sequence[str], numbers: pd.Series | None = None
) -> pd.DataFrame:
    """Return the rows of `old` with those of `new` in their places, by number.

    Args:
        old: Rows by number, some of which `new` replaces.
        new: Rows by number.
        columns: The columns in their order; either frame may lack some.
        numbers: The numbers that are replaced; None for those in `new`.
    """
    kept = old[~old["number"].isin(new["number"] if numbers is None else numbers)]
    if kept.empty or new.empty:
        return (new if kept.empty else kept).reset_index(drop=True)
    joined = pd.DataFrame({name: _joined(kept, new, name) for name in columns})
    order = np.argsort(joined["number"].to_numpy(), kind="stable")
    if (np.diff(order) == 1).all():
        return joined
    return joined.iloc[order].reset_index(drop=True)


def _joined(kept: pd.DataFrame, new: pd.DataFrame, name: str) -> pd.Series:
    """Return one column of both; where one has no such column, its values are missing."""
    if name in kept and name in new:
        return pd.concat([kept[name], new[name]], ignore_index=True)
    known = kept[name] if name in kept else new[name]
    kind: Any = known.dtype
    known = known.astype(frames.NULLABLE.get(kind.kind, kind))
    missing = pd.Series(index=(new if name in kept else kept).index, dtype=known.dtype)
    return pd.concat([known, missing] if name in kept else [missing, known], ignore_index=True)
