"""Why a running study should stop: a signal, its time budget, a fault of the record, the loss of its lease."""

import math
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from ray.tune import Stopper

from study_common.output import say


class Interrupt(Stopper):
    """Asked by Tune after every event whether to stop; `reason` keeps the first answer, "" while there is none."""

    def __init__(self, time_budget_s: float, faults: Callable[[], str]) -> None:
        """`faults` returns what has gone wrong, "" if nothing has."""
        self.reason = ""
        self.faults = faults
        self._signal: signal.Signals | None = None
        self._budget = time_budget_s
        self._deadline = math.inf

    def start_clock(self) -> None:
        """Let the time budget run from the first call on."""
        self._deadline = min(self._deadline, time.monotonic() + self._budget)

    def __getstate__(self) -> dict[str, Any]:
        """Leave everything out of the copy of its state that Tune keeps: nobody reads it."""
        return {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stop a single trial."""
        return False

    def stop_all(self) -> bool:
        """Tell whether the study has to stop."""
        self.stop(self._why())
        return bool(self.reason)

    def stop(self, reason: str) -> None:
        """Stop for `reason`, if it is not "" and there is none yet."""
        self.reason = self.reason or reason

    @property
    def code(self) -> int:
        """The exit code of the process."""
        if self._signal:
            return 128 + self._signal
        return 1 if self.reason not in ("", _BUDGET) else 0

    def _why(self) -> str:
        if self._signal:
            return f"stopped by {self._signal.name}"
        if time.monotonic() > self._deadline:
            return _BUDGET
        return self.faults()

    @contextmanager
    def catching_signals(self) -> Iterator[None]:
        """Stop the study on the first SIGINT or SIGTERM, and leave this process at once on the second.

        Only the main thread of a process can catch signals; in another one they are left as they are.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def catch(number: int, frame: FrameType | None) -> None:
            if self._signal:
                os._exit(128 + number)  # the processes of a Ray that we started die with this one
            self._signal = signal.Signals(number)
            say("stopping; once more to stop at once, nothing is lost either way", error=True)

        earlier = {number: signal.signal(number, catch) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


_BUDGET = "the time budget is used up"
