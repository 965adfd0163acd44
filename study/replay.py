"""Recorded learning curves, and studies that replay them on a virtual clock.

The searcher and the scheduler are those of a real study; only workers and record are not: an epoch takes the seconds
that it took when it was recorded, and nothing is written.
"""

import heapq
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import moocore
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from optuna.trial import FrozenTrial, TrialState
from ray.tune.schedulers import TrialScheduler

from results.record import TRIALS_DIR
from study import objectives, storage
from study.record import Record
from study.request import Request
from study.scheduler import make_scheduler
from study.searcher import Searcher
from study.worker import Job, Report, saved_epochs

REQUEST = b"request"
"""Key of the recording study's request, as JSON, in the metadata of a table's file."""


@dataclass(frozen=True)
class Table:
    """The learning curve of every configuration of a finite space, and the request that recorded them."""

    request: Request
    points: Sequence[dict[str, Any]]
    curves: Sequence[Sequence[Report]]
    """Of each point, its epochs in order."""

    @classmethod
    def read(cls, path: Path) -> "Table":
        """Read a file that `write` wrote; ValueError for any other."""
        try:
            file = pq.read_table(path)
            request = Request.from_document(json.loads(file.schema.metadata[REQUEST]))
        except (OSError, pa.ArrowException, KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is no table of learning curves ({error}); make one with --record NAME"
            ) from None
        frame = file.to_pandas()
        names = list(request.distributions())
        points, curves = [], []
        for _, rows in frame.groupby("trial"):
            points.append({name: rows[name].iloc[0].item() for name in names})
            metrics = rows.drop(columns=["trial", "epoch", "seconds", *names]).to_dict("records")
            curves.append(
                [
                    Report(epoch=epoch, seconds=seconds, metrics=_measured(row), last=epoch == request.epochs)
                    for epoch, seconds, row in zip(rows["epoch"], rows["seconds"], metrics, strict=True)
                ]
            )
        return cls(request, points, curves)

    def write(self, path: Path) -> None:
        """Write one row an epoch: trial, the searched values, epoch, seconds, metrics."""
        rows = [
            {"trial": i, **point, "epoch": report.epoch, "seconds": report.seconds, **report.metrics}
            for i, (point, curve) in enumerate(zip(self.points, self.curves, strict=True))
            for report in curve
        ]
        table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
        about = {**table.schema.metadata, REQUEST: json.dumps(self.request.document()).encode()}
        pq.write_table(table.replace_schema_metadata(about), path, compression="zstd")

    @cached_property
    def rows(self) -> dict[str, int]:
        """The place of each configuration in `points`, by `_key`."""
        return {_key(self.request.flat(point)): row for row, point in enumerate(self.points)}

    @cached_property
    def gains(self) -> NDArray[np.float64]:
        """The objectives after the last epoch, (n, m), all to be maximised; rows of `points`."""
        targets = self.request.objectives
        return np.array([objectives.gains(targets, curve[-1].metrics) for curve in self.curves])


def table_of(directory: Path) -> Table:
    """Return the table that the complete trials of the study in `directory` recorded."""
    request = Request.read(directory)
    with Record.open(
        request.storage or storage.url_in(directory), request.name, request.objectives
    ) as record:
        complete = [trial for trial in record.trials(request.epochs) if trial.state == TrialState.COMPLETE]
    curves = [saved_epochs(directory / TRIALS_DIR / str(trial.number), request.epochs) for trial in complete]
    return Table(request, [trial.params for trial in complete], curves)


@dataclass(frozen=True)
class Replay:
    """What a replayed study spent and reached: one row each time a trial completed, and one at the end."""

    seconds: NDArray[np.float64]
    """On the virtual clock."""
    epochs: NDArray[np.int64]
    """Trained by all workers until then."""
    hypervolume: NDArray[np.float64]
    """Of the complete trials, as a share of that of the whole table."""

    def epochs_to(self, share: float) -> float:
        """Return the epochs spent when `share` of the table's hypervolume was reached, infinite if it never was."""
        return self._at(share, self.epochs)

    def seconds_to(self, share: float) -> float:
        """Return the time on the clock when `share` of the table's hypervolume was reached, infinite if never."""
        return self._at(share, self.seconds)

    def _at(self, share: float, column: NDArray[Any]) -> float:
        reached = np.flatnonzero(self.hypervolume >= share)
        return float(column[reached[0]]) if len(reached) else math.inf


class Driver(Protocol):
    """What decides in a replayed study: this project's searcher and scheduler, or a peer's."""

    def start(self) -> tuple[Any, int] | None:
        """Return a new trial and the row of the table that it trains, or None if nothing is left to try."""

    def report(self, trial: Any, report: Report) -> bool:
        """Take in one epoch of a trial; tell whether it goes on."""


class Engine:
    """The `Driver` that is ours: the very objects that Ray Tune would call."""

    def __init__(self, table: Table, request: Request) -> None:
        """`request` is that of the table with another sampler, scheduler, seed, queue or number of trials."""
        unwritten = cast(Record, _Unwritten())
        self._searcher = Searcher(request, unwritten, Path(), token="", extra={})
        self._scheduler = make_scheduler(request, unwritten)
        self._rows = table.rows
        self._jobs: dict[str, Job] = {}

    def start(self) -> tuple[str, int] | None:
        """As `Driver`."""
        trial = str(len(self._jobs))
        suggestion = self._searcher.suggest(trial)
        if isinstance(suggestion, str):
            assert not self._searcher.halted, self._searcher.halted
            return None
        self._jobs[trial] = suggestion["job"]
        return trial, self._rows[_key(suggestion["job"].flat)]

    def report(self, trial: str, report: Report) -> bool:
        """As `Driver`."""
        result = {"report": report}
        stand_in: Any = SimpleNamespace(trial_id=trial, config={"job": self._jobs[trial]})
        if (
            not report.last
            and self._scheduler.on_trial_result(cast(Any, None), stand_in, result) == TrialScheduler.CONTINUE
        ):
            self._searcher.on_trial_result(trial, result)
            return True
        self._searcher.on_trial_complete(trial, result)
        return False


def replay(table: Table, driver: Driver, workers: int, enough: float = math.inf) -> Replay:
    """Run a study on a virtual clock with `workers` workers, until `driver` has nothing left to try.

    It ends before that when the completed trials reach the share `enough` of the table's hypervolume. Workers that are
    free at the same time ask in turn, and epochs that end at the same time are reported in turn.
    """
    whole = _hypervolume(table.gains)
    front = table.gains[:0]
    events: list[tuple[float, int, Any, int, Report, Iterator[Report]]] = []
    turn = count()
    clock, epochs, idle = 0.0, 0, workers
    trace: list[tuple[float, int, float]] = []

    def train(trial: Any, row: int, curve: Iterator[Report]) -> None:
        report = next(curve)
        heapq.heappush(events, (clock + report.seconds, next(turn), trial, row, report, curve))

    while True:
        while idle and (started := driver.start()):
            trial, row = started
            train(trial, row, iter(table.curves[row]))
            idle -= 1
        if not events or (trace and trace[-1][2] >= enough):
            trace.append((clock, epochs, trace[-1][2] if trace else 0.0))
            return Replay(*map(np.array, zip(*trace, strict=True)))
        clock, _, trial, row, report, curve = heapq.heappop(events)
        epochs += 1
        goes_on = driver.report(trial, report)
        if report.last:
            front = moocore.filter_dominated(np.vstack([front, table.gains[row]]), maximise=True)
            trace.append((clock, epochs, _hypervolume(front) / whole))
        if goes_on and not report.last:
            train(trial, row, curve)
        else:
            idle += 1


def _hypervolume(gains: NDArray[np.float64]) -> float:
    inside = gains[(gains > 0).all(axis=1)]
    return float(moocore.hypervolume(inside, ref=0.0, maximise=True)) if len(inside) else 0.0


class _Unwritten:
    """A record that keeps nothing."""

    def __init__(self) -> None:
        self._numbers = count()

    def trials(self, epochs: int) -> list[FrozenTrial]:
        return []

    def notes(self) -> dict[str, Any]:
        return {}

    def add(self, *_: object) -> int:
        return next(self._numbers)

    def update(self, *_: object) -> None: ...

    def finish(self, *_: object) -> None: ...

    def note(self, *_: object) -> None: ...


def _key(flat: Mapping[str, Any]) -> str:
    return json.dumps({name: value for name, value in flat.items() if name != "seed"}, sort_keys=True)


def _measured(row: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in row.items() if not math.isnan(value)}
