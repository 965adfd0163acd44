"""Recorded learning curves of every configuration of a finite space: studies are replayed on them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from optuna.trial import TrialState

from study.execution.worker import Report, saved_epochs
from study.planning import initial_points
from study.store.directory import check_record, record_url
from study.store.record import Record
from study.store.request import Request
from study_common import objectives, parquet
from study_common.documents import parse_json
from study_common.errors import UserError
from study_common.layout import RESULT, TRIALS_DIR

ABOUT = b"study"
"""Key of the request and the configurations, as JSON, in the metadata of a table's file."""


@dataclass(frozen=True)
class Table:
    """The learning curve of every configuration of a finite space, and the request that recorded them."""

    request: Request
    points: Sequence[dict[str, Any]]
    curves: Sequence[Sequence[Report]]
    """The epochs of each point, in order."""

    def __post_init__(self) -> None:
        """Raise UserError for a table with gaps: a replay could not look them up."""
        size, bounds = self.request.space.size(), self.request.constraints
        if len(self.points) != size:
            without = f" without bounds on {' and '.join(bounds)}," if bounds else ""
            raise UserError(
                f"{len(self.points)} complete trials inside a space of {size or 'infinitely many'} configurations "
                f"are not a table; record one{without} with --sampler grid --scheduler fifo and enough --trials"
            )
        for point, curve in zip(self.points, self.curves, strict=True):
            if [report.epoch for report in curve] != list(range(1, self.request.epochs + 1)):
                raise UserError(
                    f"{point} has {len(curve)} of {self.request.epochs} epochs on disk; copy the whole study again"
                )

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Read a file that `write` wrote.

        Raises:
            UserError: There is none, or it is another file.
        """
        if not path.is_file():
            raise UserError(f"there is no file {path}; make it with --record NAME")
        try:
            request, points, curves = _parsed(parquet.read(path))
        except (OSError, LookupError, TypeError, ValueError, AttributeError) as error:
            raise UserError(
                f"{path} is not a table of learning curves ({error}); make one with --record NAME"
            ) from None
        return cls(request, points, curves)

    def write(self, path: Path) -> None:
        """Write one row per epoch: trial, epoch, seconds, metrics.

        Raises:
            UserError: `path` exists already or cannot be written.
        """
        rows = [
            {"trial": i, "epoch": report.epoch, "seconds": report.seconds, **report.metrics}
            for i, curve in enumerate(self.curves)
            for report in curve
        ]
        if path.exists() or path.is_symlink():
            raise UserError(f"{path} exists already; choose another --table")
        about = {"request": self.request.document(), "points": self.points}
        names = dict.fromkeys(name for row in rows for name in row)
        table = pa.table({name: [row.get(name) for row in rows] for name in names})
        try:
            pq.write_table(
                table.replace_schema_metadata({ABOUT: json.dumps(about)}), path, compression="zstd"
            )
        except OSError as error:
            raise UserError(f"cannot write {path}: {error}; choose another --table") from None

    def launched(self, **given: Any) -> Request:
        """Return the request of a launch with these fields, without replicates, which tries the corners first."""
        request = replace(self.request, **{"replicates": 0, **given})
        corners = initial_points.corners(request.space, request.flat({})) if request.sampler != "grid" else []
        return replace(request, queue=[point for point in corners if point in self.points])

    def row(self, flat: Mapping[str, Any]) -> int:
        """Return the index in `points` of a configuration, whatever its seed."""
        return self._rows[_key(flat)]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {_key(self.request.flat(point)): row for row, point in enumerate(self.points)}

    @cached_property
    def gains(self) -> NDArray[np.float64]:
        """The objectives after the last epoch, (n, m), all to be maximised; rows of `points`."""
        targets = self.request.objectives
        return np.array([objectives.gains(targets, curve[-1].metrics) for curve in self.curves])


def _parsed(file: pa.Table) -> tuple[Request, list[dict[str, Any]], list[list[Report]]]:
    about = parse_json(file.schema.metadata[ABOUT])
    request = Request.from_document(about["request"])
    curves: list[list[Report]] = [[] for _ in about["points"]]
    for row in file.to_pylist():
        trial, epoch, seconds = (row.pop(name) for name in ("trial", "epoch", "seconds"))
        metrics = {name: value for name, value in row.items() if value is not None}
        curves[trial].append(
            Report(epoch=epoch, seconds=seconds, metrics=metrics, last=epoch == request.epochs)
        )
    return request, about["points"], curves


def table_of(directory: Path) -> Table:
    """Return the table that the complete trials of the study in `directory` recorded.

    Raises:
        UserError: It has gaps, or the study is damaged.
    """
    request = Request.read(directory)
    url = record_url(request, directory)
    check_record(request, directory)
    with Record.open(url, request.name, request.objectives) as record:
        trials = record.study.get_trials(deepcopy=False)
    complete = [
        trial
        for trial in trials
        if trial.state == TrialState.COMPLETE
        and trial.params in request.space
        and not request.is_replicate(trial.user_attrs[RESULT])
    ]
    curves = [saved_epochs(directory / TRIALS_DIR / str(trial.number), request.epochs) for trial in complete]
    return Table(request, [trial.params for trial in complete], curves)


def _key(flat: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in flat.items() if name != "seed"}, sort_keys=True)
