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


def on_all_cores(function: Callable[[Item], Result], items: Sequence[Item], title: str) -> list[Result]:
    """Return the function's results in order, computed by a thread for each core; a terminal shows a bar.

    It pays for a function that spends its time outside of Python's lock: reading, hashing, decoding.
    """
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
    with ThreadPoolExecutor(cores) as pool:
        results = track(
            pool.map(function, items),
            title,
            total=len(items),
            console=Console(stderr=True),
            transient=True,
            disable=not sys.stderr.isatty(),
        )
        return list(results)
