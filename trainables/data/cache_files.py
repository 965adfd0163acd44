"""Where data is kept on a node, and files that many processes share."""

import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from study_common.errors import UserError

PASSING = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors that say nothing about a file: it may be readable the next time."""


def check_passing(path: Path, error: Exception) -> None:
    """Raise ValueError if `path` could not be read for a reason that may be gone the next time."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in PASSING:
        raise UserError(f"{path} cannot be read now ({error}); try again, or remove it")


def cache_folder() -> Path:
    """Return where data is kept between runs: $XDG_CACHE_HOME/sgt-pact-study, by default in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sgt-pact-study"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Let one process of a node at a time into the block; the lock ends with its holder, whatever happens."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def new_array(path: Path, shape: tuple[int, ...]) -> np.ndarray:
    """Create a .npy file of uint8 zeros, mapped into memory; OSError if the disk has no room for it."""
    array = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    if sys.platform == "linux":  # else a sparse file would kill the process, were the disk to fill up later
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return array


def mapped(path: Path) -> np.ndarray:
    """Map a .npy file into memory; processes share its pages, and writing changes none of them."""
    array: np.ndarray = np.load(path, mmap_mode="c")
    return array
