"""The trials of a study that have not ended: what is known of each, and whether it runs, pauses or was interrupted."""

from dataclasses import dataclass
from enum import Enum
from typing import Any

from search_spaces import Point
from study.search.encoding import Key, identity
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


class OpenTrials:
    """All open trials of a study; to find one takes the same time however many there are."""

    def __init__(self) -> None:
        self._trials: dict[int, OpenTrial] = {}
        self._by_status: dict[Status, dict[int, OpenTrial]] = {status: {} for status in Status}
        self._by_name: dict[str, OpenTrial] = {}
        self._by_values: dict[tuple[Key, int], OpenTrial] = {}

    def __len__(self) -> int:
        return len(self._trials)

    def add(self, trial: OpenTrial) -> None:
        """Add a trial that begins."""
        self._trials[trial.number] = self._by_status[trial.status][trial.number] = trial
        self._by_values[identity(trial.point), trial.known["seed"]] = trial

    def run(self, trial: OpenTrial, tune_id: str) -> None:
        """Let a trial run as the one that Tune calls `tune_id`."""
        self._move(trial, Status.RUNNING, tune_id)
        self._by_name[tune_id] = trial

    def rest(self, trial: OpenTrial, status: Status) -> None:
        """Let a trial wait."""
        self._move(trial, status, "")

    def _move(self, trial: OpenTrial, status: Status, tune_id: str) -> None:
        del self._by_status[trial.status][trial.number]
        self._by_name.pop(trial.tune_id, None)
        trial.status, trial.tune_id = status, tune_id
        self._by_status[status][trial.number] = trial

    def remove(self, trial: OpenTrial) -> None:
        """Drop a trial that has ended."""
        del self._trials[trial.number], self._by_status[trial.status][trial.number]
        self._by_name.pop(trial.tune_id, None)
        del self._by_values[identity(trial.point), trial.known["seed"]]

    def numbered(self, number: int) -> OpenTrial:
        """Return the trial of this number."""
        return self._trials[number]

    def named(self, tune_id: str) -> OpenTrial:
        """Return the running trial that Tune calls `tune_id`."""
        return self._by_name[tune_id]

    def of(self, point: Point, seed: int) -> OpenTrial | None:
        """Return the one with these searched values and this seed; None if there is none."""
        return self._by_values.get((identity(point), seed))

    @property
    def running(self) -> list[OpenTrial]:
        """Those that a worker trains, in order of their numbers."""
        return self._of(Status.RUNNING)

    @property
    def interrupted(self) -> list[OpenTrial]:
        """Those that wait for a worker, in order of their numbers."""
        return self._of(Status.INTERRUPTED)

    @property
    def paused(self) -> list[OpenTrial]:
        """Those that wait at a rung, in order of their numbers."""
        return self._of(Status.PAUSED)

    def _of(self, status: Status) -> list[OpenTrial]:
        return [trial for _, trial in sorted(self._by_status[status].items())]
