"""How a study stands: the figures behind the live view, `study.status` and Ray's metrics."""

import time
from collections import Counter
from collections.abc import Mapping

import moocore
import numpy as np
from optuna.trial import TrialState

from results import Objective
from results.fronts import volume
from results.record import STATES
from study import objectives


class Progress:
    """Counts and front of a study, kept up to date event by event."""

    def __init__(self, targets: Mapping[str, Objective], trials: int) -> None:
        self.trials = trials
        """How many the study is to have."""
        self.states = Counter(dict.fromkeys(STATES.values(), 0))
        self.refused = {"infeasible": 0, "repeat": 0}
        self.epochs = 0
        """Trained since this object was made."""
        self.best: dict[str, float] = {}
        """The best value of each objective among the complete trials."""
        self._targets = targets
        self._front = np.empty((0, len(targets)))
        self._began = time.monotonic()
        self._ended = 0

    def started(self) -> None:
        """Count a new trial."""
        self.states["running"] += 1

    def ended(self, state: TrialState, metrics: Mapping[str, float]) -> None:
        """Count the end of a trial."""
        self.states["running"] -= 1
        self._ended += 1
        self.learned(state, metrics)

    def learned(self, state: TrialState, metrics: Mapping[str, float]) -> None:
        """Count a trial that is in the record already."""
        self.states[STATES[state.name]] += 1
        if state != TrialState.COMPLETE:
            return
        gains = np.array([objectives.gains(self._targets, metrics)])
        self._front = moocore.filter_dominated(
            np.vstack([self._front, gains]), maximise=True, keep_weakly=True
        )
        for name, target in self._targets.items():
            better = max if target.direction == "max" else min
            self.best[name] = better(metrics[name], self.best.get(name, metrics[name]))

    @property
    def done(self) -> int:
        """Trials that ended."""
        return self.states.total() - self.states["running"]

    @property
    def front(self) -> int:
        """Trials that no other dominates."""
        return len(self._front)

    @property
    def hypervolume(self) -> float:
        """Of the front between the ideal (1 in all objectives) and the reference (0), in [0, 1]."""
        return volume(1 - self._front) if len(self._front) else 0.0

    @property
    def seconds(self) -> float:
        """Since this object was made."""
        return time.monotonic() - self._began

    @property
    def epochs_a_second(self) -> float:
        """Mean since this object was made."""
        return self.epochs / max(self.seconds, 1e-9)

    @property
    def eta(self) -> float | None:
        """Seconds until the last trial ends, at the pace so far; None before the first ended."""
        return (self.trials - self.done) * self.seconds / self._ended if self._ended else None
