"""How long a run may show no progress before its worker counts as dead."""

import math
import time
from collections.abc import Iterable
from typing import Self

from optuna.trial import FrozenTrial

from study.store.request import Request
from study_common.layout import RESULT
from trainables import costs

LEAST_S = 300.0
"""No run is ended for a shorter silence, in seconds, however short its epochs are."""
LEAST_FIRST_S = 3600.0
"""The same while no epoch is known: images may be decoded and weights downloaded in the first one."""
FAST = 1e10
"""Multiply-adds of forward passes per second by which the first epoch is estimated; a CPU core trains with 1.5e10."""


FROZEN_S = 30.0
"""The longest pause in seconds between two looks of a driver that counts: in a longer one it was stopped itself."""


class Patience:
    """Knows when each run last reported, and the longest time that an epoch took.

    Args:
        factor: The allowance, as a multiple of the longest epoch so far; 0 waits without end.
        macs: Multiply-adds of an epoch's images, each once through the model; they give the allowance of the first.
    """

    def __init__(self, factor: float, macs: float = 0.0) -> None:
        self._factor = factor
        self._first = max(LEAST_FIRST_S, factor * macs / FAST)
        self._last: dict[str, float] = {}
        self._longest = 0.0
        self._looked = time.monotonic()
        self._awake = 0.0

    @classmethod
    def of(cls, request: Request, trials: Iterable[FrozenTrial]) -> Self:
        """Return that of a study, which knows how long the epochs of its `trials` took."""
        images = request.data.get("train", 0) + request.data.get("validation", 0)
        patience = cls(request.trial_timeout, costs(request.config({}))["macs"] * images)
        for trial in trials:
            known = trial.user_attrs[RESULT]
            patience.learn(known["duration_s"] / max(1, known["epochs"]))
        return patience

    def learn(self, seconds: float) -> None:
        """Learn how long an epoch took that others watched, such as an earlier driver."""
        self._longest = max(self._longest, seconds)

    def started(self, run: str) -> None:
        """Wait for the first report of a run, or its next after its worker died."""
        self._last[run] = self._now()

    def reported(self, run: str, seconds: float, *, is_new: bool) -> None:
        """Learn from the report of a run how long an epoch takes.

        Args:
            run: Its name.
            seconds: How long the epoch trained.
            is_new: Whether it was trained just now, so that evaluation and saving show in the time since the last
                report; one that was on disk is reported at once.
        """
        now = self._now()
        self.learn(max(seconds, now - self._last.get(run, now)) if is_new else seconds)
        self._last[run] = now

    def ended(self, run: str) -> None:
        """Wait for this run no longer."""
        self._last.pop(run, None)

    @property
    def limit(self) -> float:
        """Seconds of silence that are too many; infinite if the factor is 0."""
        if not self._factor:
            return math.inf
        return max(LEAST_S, self._factor * self._longest) if self._longest else self._first

    def overdue(self) -> list[str]:
        """Return the runs that have been silent for longer than `limit`; to be asked every few seconds."""
        now = self._now()
        return [run for run, last in self._last.items() if now - last > self.limit]

    def reason(self) -> str:
        """Return why a run is ended, for the user."""
        return f"no progress for {self.limit:.0f} s (--trial-timeout); its worker is killed"

    def _now(self) -> float:
        """Return the seconds that the driver was awake."""
        now = time.monotonic()
        self._awake += min(now - self._looked, FROZEN_S)
        self._looked = now
        return self._awake
