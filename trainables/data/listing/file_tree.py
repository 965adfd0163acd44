"""All files below a folder: the images with what tells whether one has changed, and the rest with the reason.

Nothing is opened here, so that a named pipe cannot block and 60,000 files take less than a second.
"""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from study_common.errors import UserError

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".dcm", ".dicom")
"""Files that count as images, by their lower-case suffix."""
THUMBNAIL_FOLDERS = ("__macosx", "@eadir", "thumbs", "thumbnails", "$recycle.bin")
"""Folders that programs fill with copies of images, in lower case."""


class File(NamedTuple):
    """An image file below a folder."""

    path: str
    """Relative to the folder, with slashes."""
    stamp: str
    """Size, times of change and inode, as text: another stamp, possibly other content."""
    problem: str = ""
    """Why it cannot be read; "" if it may be readable."""


class LeftOut(NamedTuple):
    """A file or folder that is not used."""

    path: str
    reason: str

    def __str__(self) -> str:
        return f"{printable(self.path)}: {self.reason}"


@dataclass(frozen=True, kw_only=True)
class FileTree:
    """What is below a folder."""

    root: Path
    images: tuple[File, ...]
    """Sorted by the parts of their paths."""
    ignored: tuple[LeftOut, ...]
    """Other files, hidden ones and folders of thumbnails."""


def printable(text: str) -> str:
    """Escape what a terminal or a line of text would interpret, such as a newline or ESC.

    >>> print(printable("a\\nb"), printable("é ü"))
    a\\nb é ü
    """
    return text if text.isprintable() else text.encode("unicode_escape", "backslashreplace").decode("ascii")


def in_order(path: str) -> str:
    """Return a key that sorts paths by their parts: NUL, in no name, comes before every letter."""
    return path.replace("/", "\0")


def scan(root: Path) -> FileTree:
    """List everything below `root`, links inside it included.

    Raises:
        UserError: A folder may not be read, a link leads out of `root`, or links form a loop.
    """
    images: list[File] = []
    ignored: list[LeftOut] = []
    real_root = os.path.realpath(root)
    for path, entry in _walk(root, "", (real_root,), ignored):
        _, dot, end = entry.name.rpartition(".")
        suffix = f"{dot}{end}".lower() if dot else ""
        if entry.name.startswith("."):
            ignored.append(LeftOut(path, "hidden"))
        elif suffix not in SUFFIXES:
            ignored.append(LeftOut(path, f"not an image: {suffix or 'no suffix'}"))
        else:
            images.append(_file(path, entry))
    images.sort(key=lambda file: in_order(file.path))
    ignored.sort(key=lambda left_out: in_order(left_out.path))
    return FileTree(root=root, images=tuple(images), ignored=tuple(ignored))


def _walk(
    root: Path, folder: str, above: tuple[str, ...], ignored: list[LeftOut]
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all that is no folder; `above` are the real paths of the folders on the way, the root first."""
    place = root / folder
    try:
        entries = list(os.scandir(place))
        os.stat(place / ".")  # listing needs the permission to read, going in the one to execute
    except PermissionError:
        raise UserError(f"the folder {place} may not be read; change its permissions") from None
    for entry in entries:
        path = f"{folder}/{entry.name}" if folder else entry.name
        real = os.path.realpath(entry.path) if entry.is_symlink() else ""
        if real and os.path.commonpath((real, above[0])) != above[0]:
            raise UserError(f"{root / path} is a link out of {root}; put the images themselves there")
        if not _is_folder(entry):
            yield path, entry
        elif entry.name.startswith("."):
            ignored.append(LeftOut(path, "hidden"))
        elif entry.name.lower() in THUMBNAIL_FOLDERS:
            ignored.append(LeftOut(path, "a folder of thumbnails"))
        elif real in above:
            raise UserError(f"{root / path} is a link to a folder that contains it; remove it")
        else:
            yield from _walk(root, path, (*above, real or os.path.realpath(entry.path)), ignored)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself
        return False


def _file(path: str, entry: os.DirEntry[str]) -> File:
    try:
        status = entry.stat()
    except OSError as error:
        return File(path, "", error.strerror or str(error))
    stamp = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
    return File(path, stamp, "" if stat.S_ISREG(status.st_mode) else "not a regular file")
