"""Work on many files at once."""

import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from rich.console import Console
from rich.progress import track

Item = TypeVar("Item")
Result = TypeVar("Result")

_MOST_TOGETHER = 64
"""Items that a thread takes at a time: to hand over each one alone costs as much as to decode a small image."""


def on_all_cores(function: Callable[[Item], Result], items: Sequence[Item], title: str) -> list[Result]:
    """Return the function's results in order, computed by a thread for each core; a terminal shows a bar.

    It pays for a function that spends its time outside of Python's lock: reading, hashing, decoding.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    together = max(1, min(_MOST_TOGETHER, len(items) // (16 * cores)))
    groups = [items[start : start + together] for start in range(0, len(items), together)]
    with ThreadPoolExecutor(cores) as pool:
        found = track(
            pool.map(lambda group: [function(item) for item in group], groups),
            title,
            total=len(groups),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        return [result for group in found for result in group]
