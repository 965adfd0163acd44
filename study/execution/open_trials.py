"""The trials of a study that have not ended: what is known of each, and whether it runs, pauses or was interrupted."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from search_spaces import Point
from study_common.layout import Result


class Status(Enum):
    """What an open trial does."""

    INTERRUPTED = "interrupted"
    """It waits for a worker: it has just begun, or its driver or its worker died."""
    RUNNING = "running"
    PAUSED = "paused"
    """It waits at a rung, for the scheduler or the sampler to resume it."""


@dataclass(kw_only=True)
class OpenTrial:
    """One trial that has not ended."""

    number: int
    point: dict[str, Any]
    """Its searched values."""
    known: Result
    status: Status
    tune_id: str = ""
    """What Tune calls it while it runs; each time it is resumed it is another trial to Tune."""

    def run(self, tune_id: str) -> None:
        """Let it run as the trial that Tune calls `tune_id`."""
        self.status, self.tune_id = Status.RUNNING, tune_id

    def rest(self, status: Status) -> None:
        """Let it wait."""
        self.status, self.tune_id = status, ""


class OpenTrials:
    """All open trials of a study, in order of their numbers."""

    def __init__(self, trials: Iterable[OpenTrial] = ()) -> None:
        self._trials = {trial.number: trial for trial in trials}

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: OpenTrial) -> None:
        """Add a trial that begins."""
        self._trials[trial.number] = trial

    def remove(self, trial: OpenTrial) -> None:
        """Drop a trial that has ended."""
        del self._trials[trial.number]

    def numbered(self, number: int) -> OpenTrial:
        """Return the trial of this number."""
        return self._trials[number]

    def named(self, tune_id: str) -> OpenTrial:
        """Return the running trial that Tune calls `tune_id`."""
        return next(trial for trial in self.running if trial.tune_id == tune_id)

    def has(self, point: Point, seed: int) -> bool:
        """Tell whether one of them has these searched values and this seed."""
        return any((trial.point, trial.known["seed"]) == (point, seed) for trial in self._trials.values())

    @property
    def interrupted(self) -> list[OpenTrial]:
        """Those that wait for a worker."""
        return self._of(Status.INTERRUPTED)

    @property
    def running(self) -> list[OpenTrial]:
        """Those that a worker trains."""
        return self._of(Status.RUNNING)

    @property
    def paused(self) -> list[OpenTrial]:
        """Those that wait at a rung."""
        return self._of(Status.PAUSED)

    def _of(self, status: Status) -> list[OpenTrial]:
        return [trial for trial in self._trials.values() if trial.status == status]
