"""How long a running trial may show no progress before its worker counts as dead."""

import math
import time

LEAST_S = 300.0
"""No trial is ended for a shorter silence, in seconds, however short its epochs are."""


class Patience:
    """Knows when each running trial last reported, and the longest time that an epoch took."""

    def __init__(self, factor: float) -> None:
        """Wait for `factor` times the longest epoch so far; 0 waits without end."""
        self._factor = factor
        self._last: dict[str, float] = {}
        self._longest = 0.0

    def started(self, trial: str) -> None:
        """Wait for the first report of a trial, or its next after its worker died."""
        self._last[trial] = time.monotonic()

    def reported(self, trial: str) -> None:
        """Learn from the report of a trial how long an epoch takes."""
        now = time.monotonic()
        self._longest = max(self._longest, now - self._last.get(trial, now))
        self._last[trial] = now

    def ended(self, trial: str) -> None:
        """Wait for this trial no longer."""
        self._last.pop(trial, None)

    @property
    def limit(self) -> float:
        """Seconds of silence that are too many; infinite while no epoch has ended yet."""
        if not (self._factor and self._longest):
            return math.inf
        return max(LEAST_S, self._factor * self._longest)

    def overdue(self) -> list[str]:
        """Return the trials that have been silent for longer than `limit`."""
        now = time.monotonic()
        return [trial for trial, last in self._last.items() if now - last > self.limit]
