"""What becomes of each trial, told to the tool of --log while the study runs.

A thread tells it, so that the driver never waits for the tool; and whatever the tool does, the study goes on. The
record remains the only truth about a study, and nothing reads back what is told here.
"""

import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from study_common.layout import STATES

RUNNING = STATES["RUNNING"]
INTERRUPTED = "interrupted"
"""State, here alone, of a trial that was running when the driver stopped: a resume continues it."""
PATIENCE_S = 30.0
"""How long the driver, at its end, waits for the tool."""
MOST_WAITING = 10_000
"""Entries that may wait for the tool; more, and it cannot keep up."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """A trial that began, trained an epoch, paused or ended."""

    number: int
    values: Mapping[str, float | str]
    """Its searched values and its seed."""
    state: str
    epoch: int
    """Epochs that it has trained."""
    metrics: Mapping[str, float] = field(default_factory=dict)
    """Of that epoch, when it has just been trained; otherwise the entry tells the state."""
    error: str = ""


class Tracker(Protocol):
    """A tool, used in one thread; what it raises ends the tracking, not the study.

    A trial is one run of the tool, whatever the number of its pauses and drivers. A new driver may tell again of epochs
    that the run has already.
    """

    place: str
    """Where the user finds the runs."""

    def write(self, entry: Entry) -> None:
        """Continue the run of a trial, or begin it; it rests or ends with any other state than `RUNNING`."""


class Tracking:
    """Hands entries to a tracker, which is made and used in a thread of its own.

    Args:
        name: What --log says.
        connect: Makes the tracker.
        say: Shows the user a line; may be called from any thread.
    """

    def __init__(self, name: str, connect: Callable[[], Tracker], say: Callable[[str], None]) -> None:
        self._name = name
        self._say = say
        self._given_up = False
        self._entries: queue.SimpleQueue[Entry | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(connect,), name="tracking", daemon=True)
        self._thread.start()

    def put(self, entry: Entry) -> None:
        """Let the tool know of `entry`, at some time."""
        if self._entries.qsize() > MOST_WAITING:
            self._give_up("it cannot keep up")
        if not self._given_up:
            self._entries.put(entry)

    def close(self) -> None:
        """Wait for the tool to have everything, but not long."""
        if self._given_up:
            return
        self._entries.put(None)
        self._thread.join(PATIENCE_S)
        if self._thread.is_alive():
            self._give_up(f"it had not taken everything {PATIENCE_S:g} seconds after the end")

    def _work(self, connect: Callable[[], Tracker]) -> None:
        open_trials: dict[int, Entry] = {}
        try:
            tracker = connect()
            self._say(f"--log {self._name}: {tracker.place}")
            while (entry := self._entries.get()) is not None and not self._given_up:
                open_trials[entry.number] = entry
                tracker.write(entry)
                if entry.state != RUNNING:
                    del open_trials[entry.number]
            for left in open_trials.values():
                tracker.write(replace(left, state=INTERRUPTED, metrics={}))
        except BaseException as error:  # some tools exit where they cannot go on
            self._give_up(" ".join(f"{type(error).__name__}: {error}".split())[:300])

    def _give_up(self, why: str) -> None:
        if not self._given_up:
            self._given_up = True
            self._say(f"warning: --log {self._name} failed and the study goes on without it ({why})")
