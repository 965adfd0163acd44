"""Server-sent events: a stream says how a study stands, at once and whenever that changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from starlette.concurrency import run_in_threadpool

INTERVAL_S = 0.5
"""Seconds between two looks."""
PING_S = 15.0
"""Seconds after which a silent stream says that it is alive."""
LIFE_S = 3600.0
"""Seconds after which a stream ends; a browser then opens it again."""
MAX_STREAMS = 128


class Streams:
    """Counts the open streams; none is opened above `MAX_STREAMS`, and all end when the service does.

    Args:
        is_closing: Tells whether the service is about to end.
    """

    def __init__(self, is_closing: Callable[[], bool]) -> None:
        self._is_closing = is_closing
        self.count = 0

    @property
    def is_full(self) -> bool:
        """Whether no more streams may be opened."""
        return self.count >= MAX_STREAMS

    async def follow(self, look: Callable[[], dict[str, Any]]) -> AsyncIterator[str]:
        """Yield what `look` returns as an event, at once and whenever it has changed.

        Args:
            look: Runs in a thread.
        """
        with self._counted():
            said, silent, lived = "", 0.0, 0.0
            while not self._is_closing() and lived < LIFE_S:
                found = json.dumps(await run_in_threadpool(look))
                if found != said:
                    said, silent = found, 0.0
                    yield f"event: standing\ndata: {found}\n\n"
                elif silent >= PING_S:
                    silent = 0.0
                    yield ": still here\n\n"
                await asyncio.sleep(INTERVAL_S)
                silent, lived = silent + INTERVAL_S, lived + INTERVAL_S

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1
