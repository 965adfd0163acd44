"""The files of decoded images in a cache folder: written with little memory, and verified before they are believed.

`images.bin` holds the pixels of the training, validation and test images in this order, (n, C, size, size) uint8.
`facts.json` holds all else, behind a digest of itself; its `sha256` is that of `images.bin`. Which state of
`images.bin` was verified is noted in `verified.json`, so that only a change makes a process read all of it again.
"""

import hashlib
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trainables.data.images.cache_files import read_checked, write_checked

IMAGES_FILE = "images.bin"
FACTS_FILE = "facts.json"
VERIFIED_FILE = "verified.json"
_CHUNK_BYTES = 2**24


class RowFile:
    """A file of n rows of equal length, read and written a few rows at a time, so that it takes no memory."""

    def __init__(self, path: Path, rows: int, row_bytes: int) -> None:
        """Create the file; OSError if the disk has no room for it."""
        self.rows, self.row_bytes = rows, row_bytes
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
        if rows and sys.platform == "linux":  # a sparse file would fail later, when the disk has filled up
            os.posix_fallocate(self._descriptor, 0, rows * row_bytes)

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def read(self, start: int, count: int = 1) -> bytes:
        """Return `count` rows from `start` on."""
        return os.pread(self._descriptor, count * self.row_bytes, start * self.row_bytes)

    def write(self, start: int, content: bytes) -> None:
        """Write rows from `start` on; several threads may write different rows at a time."""
        assert os.pwrite(self._descriptor, content, start * self.row_bytes) == len(content), (
            "no room was kept"
        )

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the rows from `start` to `stop`, several at a time."""
        step = max(1, _CHUNK_BYTES // self.row_bytes)
        for first in range(start, stop, step):
            yield self.read(first, min(step, stop - first))

    def reorder(self, order: Sequence[int]) -> None:
        """Move row `order[i]` to place i for all i; `order` names each row once."""
        done = bytearray(len(order))
        for start in range(len(order)):
            if done[start] or order[start] == start:
                continue
            saved, place = self.read(start), start
            while order[place] != start:
                self.write(place, self.read(order[place]))
                done[place] = 1
                place = order[place]
            self.write(place, saved)
            done[place] = 1

    def keep(self, rows: int, row_bytes: int) -> None:
        """Cut each of the first `rows` rows to its first `row_bytes` bytes, and the file to these."""
        if row_bytes < self.row_bytes:
            step, place = max(1, _CHUNK_BYTES // self.row_bytes), 0
            for first in range(0, rows, step):
                block = np.frombuffer(self.read(first, min(step, rows - first)), np.uint8)
                place += os.pwrite(
                    self._descriptor, block.reshape(-1, self.row_bytes)[:, :row_bytes].tobytes(), place
                )
            assert place == rows * row_bytes, "it is shorter than it was"
        self.rows, self.row_bytes = rows, row_bytes
        os.ftruncate(self._descriptor, rows * row_bytes)

    def sha256(self) -> str:
        """Return the digest of the content."""
        digest = hashlib.sha256()
        for chunk in self.chunks(0, self.rows):
            digest.update(chunk)
        return digest.hexdigest()


def write_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write the facts of the images in `folder`, which have just been written."""
    write_checked(folder / FACTS_FILE, facts)
    write_checked(folder / VERIFIED_FILE, _stamp(folder))


def read_facts(folder: Path) -> dict[str, Any] | None:
    """Return the facts of the images in `folder`; None if they or the pixels are damaged or of another folder."""
    facts = read_checked(folder / FACTS_FILE)
    if not isinstance(facts, dict) or facts["name"] != folder.name:
        return None
    try:
        stamp = _stamp(folder)
        if read_checked(folder / VERIFIED_FILE) == stamp:
            return facts
        with (folder / IMAGES_FILE).open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None
    if found != facts["sha256"]:
        return None
    write_checked(folder / VERIFIED_FILE, stamp)
    return facts


def open_part(folder: Path, facts: dict[str, Any], part: str) -> tuple[np.ndarray, np.ndarray]:
    """Map the images of a part (n, C, size, size) into memory, and return their labels (n,) int64.

    Processes share the pages, and writing to the array changes none of them.
    """
    counts = {name: len(indices) for name, indices in facts["parts"].items()}
    names = list(counts)
    before = sum(counts[name] for name in names[: names.index(part)])
    shape = (counts[part], *facts["shape"])
    images = np.memmap(
        folder / IMAGES_FILE, np.uint8, "c", offset=before * int(np.prod(facts["shape"])), shape=shape
    )
    labels = np.array(facts["labels"], np.int64)[facts["parts"][part]]
    return images, labels


def _stamp(folder: Path) -> list[int]:
    status = (folder / IMAGES_FILE).stat()
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]
