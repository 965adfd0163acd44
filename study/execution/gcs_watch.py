"""Watching whether the control service of Ray (GCS) answers, without which a study waits for a minute and then dies.

Ray ends the process of a driver whose control service is gone, with its own message. Before that the study stops by
itself, and says how to continue it.
"""

import os
import socket
import threading
import time
from types import TracebackType
from typing import Self

from study_common.output import say

INTERVAL_S = 2.0
SILENT_S = 10.0
"""Seconds without an answer after which the study is to stop."""
GIVE_UP_S = 30.0
"""Seconds without an answer after which the process ends, since stopping waits for Ray too."""


class GcsWatch:
    """A thread that connects to the control service every few seconds while the context is open."""

    def __init__(self, address: str, remedy: str) -> None:
        """Watch the service at `address`, a host and a port; `remedy` says how to continue the study."""
        self._address = address
        self._remedy = remedy
        self._failing_since: float | None = None
        """When the first of the last attempts, which all failed, did; None after one that did not."""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="gcs watch", daemon=True)

    @property
    def lost(self) -> str:
        """Why the study has to stop; "" while the service answers."""
        if self._silent_s < SILENT_S:
            return ""
        return f"Ray's control service at {self._address} has not answered for {SILENT_S:.0f} s"

    @property
    def _silent_s(self) -> float:
        """Seconds since the service failed to answer; a driver that was frozen itself did not ask."""
        since = self._failing_since
        return 0.0 if since is None else time.monotonic() - since

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        host, _, port = self._address.rpartition(":")
        while not self._over.wait(INTERVAL_S):
            try:
                socket.create_connection((host, int(port)), timeout=INTERVAL_S).close()
                self._failing_since = None
            except OSError:
                self._failing_since = self._failing_since or time.monotonic()
                if self._silent_s > GIVE_UP_S:
                    say(f"{self.lost}; continue with: {self._remedy}")
                    os._exit(1)  # nothing is lost: the record has all that was reported
