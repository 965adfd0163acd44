"""Listing without the garbage collector, which costs a third of the time of a large set."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collection() -> Iterator[None]:
    """Collect no garbage inside the context.

    Lists of tens of thousands of tuples make the collector walk over everything that the process has imported, several
    times; they hold no cycles, so that there is nothing to collect.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
