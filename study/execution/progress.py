"""How a study stands: the figures behind the live view, `study.status` and Ray's metrics."""

import time
from collections import Counter

import moocore
import numpy as np
from optuna.trial import TrialState

from results.analysis.fronts import volume
from study.execution.failures import Failures
from study.search.scheduler import expected_epochs
from study.store.request import Request
from study_common import objectives
from study_common.layout import STATES, Result

PAUSED = "paused"
"""State of a trial that waits at a rung, here; a table of trials lists it as running."""


class Progress:
    """Counts and front of a study, kept up to date event by event."""

    def __init__(self, request: Request) -> None:
        self.trials = request.attainable
        """How many trials the study will have."""
        self.states = Counter(dict.fromkeys([*STATES.values(), PAUSED], 0))
        self.rejected = {"infeasible": 0, "repeat": 0}
        self.epochs = 0
        """Epochs trained since this object was made."""
        self.best: dict[str, float] = {}
        """The best value of each objective among the complete trials."""
        self.failures = Failures()
        self._targets = request.objectives
        self._front = np.empty((0, len(self._targets)))
        self._start = time.monotonic()
        self._left = expected_epochs(request)
        self._first_rung = request.rungs[0]

    def add_recorded(self, state: TrialState, result: Result) -> None:
        """Count a trial that is in the record already."""
        self._left -= result["epochs"]
        self.add_new()
        self.change_state(TrialState.RUNNING, state, result)

    def add_epoch(self, is_new: bool) -> None:
        """Count an epoch; one that is not new was trained for an earlier driver."""
        if is_new:
            self.epochs += 1
        else:
            self._left -= 1

    def expect_no_more(self, replicates: int) -> None:
        """Expect no further trials but so many replicates: the space has no more configurations."""
        self.trials = self.states.total() + replicates

    def add_new(self) -> None:
        """Count a new trial."""
        self.states[state_name(TrialState.RUNNING)] += 1

    def change_state(self, before: TrialState, after: TrialState, result: Result) -> None:
        """Count a trial that pauses, is resumed or ends."""
        self.states[state_name(before)] -= 1
        self.states[state_name(after)] += 1
        if after == TrialState.FAIL:
            self.failures.add(result["error"] or "")
        metrics = result["metrics"]
        if after != TrialState.COMPLETE or not objectives.are_finite(self._targets, metrics):
            return
        gains = np.array([objectives.gains(self._targets, metrics)])
        self._front = moocore.filter_dominated(
            np.vstack([self._front, gains]), maximise=True, keep_weakly=True
        )
        for name, target in self._targets.items():
            better = max if target.direction == "max" else min
            self.best[name] = better(metrics[name], self.best.get(name, metrics[name]))

    @property
    def tried(self) -> int:
        """Trials that ended or pause."""
        return self.states.total() - self.states[state_name(TrialState.RUNNING)]

    @property
    def most_failed(self) -> bool:
        """Whether more than half of the trials that ended have failed."""
        ended = self.states.total() - self.states[state_name(TrialState.RUNNING)] - self.states[PAUSED]
        return 2 * self.states[state_name(TrialState.FAIL)] > ended

    @property
    def unfinished(self) -> int:
        """Trials that have not begun or have not ended."""
        return max(self.trials, self.states.total()) - self.tried + self.states[PAUSED]

    @property
    def front(self) -> int:
        """Trials that no other dominates."""
        return len(self._front)

    @property
    def hypervolume(self) -> float:
        """Hypervolume of the front between the ideal (1 in all objectives) and the reference (0), in [0, 1]."""
        return volume(1 - self._front) if len(self._front) else 0.0

    @property
    def seconds(self) -> float:
        """Seconds since this object was made."""
        return time.monotonic() - self._start

    @property
    def epochs_per_second(self) -> float:
        """Mean number of epochs per second since this object was made."""
        return self.epochs / max(self.seconds, 1e-9)

    @property
    def eta(self) -> float | None:
        """Seconds for the epochs that are still to be expected, at the pace so far; None before and after all.

        More trials can go on at a rung than its share, as the best of it change: so at least the first rung of those
        that have not begun is to come, and an epoch of those that run.
        """
        if not (self.epochs and self.unfinished):
            return None
        to_begin = max(0, self.trials - self.states.total())
        least = to_begin * self._first_rung + self.states[state_name(TrialState.RUNNING)]
        return max(self._left - self.epochs, least) / self.epochs_per_second


def state_name(state: TrialState) -> str:
    """Return the name of a state: `PAUSED` of a trial that waits at a rung, else that in a table of trials."""
    return PAUSED if state == TrialState.WAITING else STATES[state.name]
