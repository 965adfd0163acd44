"""Studies that replay recorded learning curves on a virtual clock.

The searcher and the scheduler are those of a real study; only workers and record are not: an epoch takes the seconds
that it took when it was recorded, and nothing is written.
"""

import heapq
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Protocol, cast

import moocore
import numpy as np
from numpy.typing import NDArray
from optuna.trial import FrozenTrial
from ray.tune.schedulers import TrialScheduler

from results.analysis.fronts import volume
from study.execution.searcher import Searcher
from study.execution.worker import Job, Report
from study.simulation.table import Table
from study.store.record import Record
from study.store.request import Request


@dataclass(frozen=True)
class Replay:
    """What a replayed study spent and reached: one row each time a trial completed, and one at the end."""

    seconds: NDArray[np.float64]
    """Time on the virtual clock."""
    epochs: NDArray[np.int64]
    """Epochs that all workers had trained until then."""
    hypervolume: NDArray[np.float64]
    """Hypervolume of the complete trials, as a share of that of the table."""

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

    def start(self) -> tuple[Any, int, int] | None:
        """Return a trial, its row of the table and the epochs that it has trained; None if there is none for now."""

    def report(self, trial: Any, report: Report) -> bool:
        """Take in one epoch of a trial; tell whether it goes on."""


class Engine:
    """The `Driver` that is ours: the very objects that Ray Tune would call."""

    def __init__(self, table: Table, request: Request) -> None:
        """`request` is what `table.launched` returns."""
        unwritten = cast(Record, _Unwritten())
        self._searcher = Searcher(request, unwritten, Path(), token="")
        self._table = table
        self._jobs: dict[str, Job] = {}

    def start(self) -> tuple[str, int, int] | None:
        """Implement `Driver.start`."""
        trial = str(len(self._jobs))
        suggestion = self._searcher.suggest(trial)
        if not isinstance(suggestion, dict):
            assert not self._searcher.halted, self._searcher.halted
            return None
        job = self._jobs[trial] = suggestion["job"]
        return trial, self._table.row(job.flat), job.recorded

    def report(self, trial: str, report: Report) -> bool:
        """Implement `Driver.report`."""
        result, scheduler = {"report": report}, self._searcher.scheduler
        stand_in: Any = SimpleNamespace(trial_id=trial, config={"job": self._jobs[trial]})
        if (
            not report.last
            and scheduler.on_trial_result(cast(Any, None), stand_in, result) == TrialScheduler.CONTINUE
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
    whole = volume(1 - table.gains)
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
            trial, row, trained = started
            train(trial, row, iter(table.curves[row][trained:]))
            idle -= 1
        if not events or (trace and trace[-1][2] >= enough):
            trace.append((clock, epochs, trace[-1][2] if trace else 0.0))
            return Replay(*map(np.array, zip(*trace, strict=True)))
        clock, _, trial, row, report, curve = heapq.heappop(events)
        epochs += 1
        goes_on = driver.report(trial, report)
        if report.last:
            front = moocore.filter_dominated(np.vstack([front, table.gains[row]]), maximise=True)
            trace.append((clock, epochs, volume(1 - front) / whole))
        if goes_on and not report.last:
            train(trial, row, curve)
        else:
            idle += 1


class _Unwritten:
    """A record that keeps nothing."""

    def __init__(self) -> None:
        self._numbers = count()

    def trials(self, epochs: int) -> list[FrozenTrial]:
        return []

    def attributes(self) -> dict[str, Any]:
        return {}

    def foreign(self) -> list[FrozenTrial]:
        return []

    def add(self, *_: object) -> int:
        return next(self._numbers)

    def update(self, *_: object) -> None: ...

    def pause(self, *_: object) -> None: ...

    def resume(self, *_: object) -> None: ...

    def finish(self, *_: object) -> None: ...

    def set_attribute(self, *_: object) -> None: ...
