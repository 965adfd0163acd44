"""Files in a directory that somebody else may have made: written completely or not at all, and never through a link."""

import os
import secrets
import stat
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from study_common.errors import LinkError, UserError

MAX_TEXT_BYTES = 32 * 2**20
"""Size up to which a TOML, JSON or CSV file is read; the largest that are written are a few megabytes."""

MAX_UNPACKED_BYTES = 512 * 2**20
"""Size up to which the arrays of a zip file are read; those that a run writes are a few megabytes."""

STALE_S = 3600.0
"""Age at which a temporary file was surely left by a process that was killed."""


def real(path: str | Path) -> Path:
    """Return `path` absolute and without links.

    Links that lead to each other are left in it, so that opening it is an OSError; of `Path.resolve` it would be a
    RuntimeError.

    Raises:
        UserError: It has a NUL in it, which no path has.
    """
    try:
        return Path(os.path.realpath(path))
    except ValueError:
        raise UserError(f"{str(path)!r} is not a path; leave out the NUL in it") from None


def expanded(path: str | Path) -> Path:
    """Return `path` with the folder of a user in place of "~" or "~user".

    Raises:
        UserError: There is no such user.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise UserError(
            f"{path} begins with the home of a user that is not known here; write the whole path"
        ) from None


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Make a new file beside `path` to write to; it replaces `path` when the block ends without an error.

    A link at `path` is replaced, not followed. Temporary files that killed processes left beside it are removed.

    Raises:
        UserError: `path` is a folder, a device or a pipe, or a link to one.
        OSError: No file can be made there; it names `path`.

    >>> folder = getfixture("tmp_path")
    >>> with replacing(folder / "front.csv") as part:
    ...     _ = part.write_text("number")
    >>> [file.name for file in folder.iterdir()]
    ['front.csv']
    """
    if not _can_be_replaced(path):
        raise UserError(f"{path} is not a file that can be replaced; choose another path")
    _remove_stale(path)
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}.part")
    try:
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from None
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _can_be_replaced(path: Path) -> bool:
    """Tell whether nothing is at `path`, or a file or a link to one. /dev/stdout is a link into /proc."""
    if path.is_symlink() and os.readlink(path).startswith("/proc/"):
        return False
    return path.is_file() or not path.exists()


def remove_parts(folder: Path) -> None:
    """Remove the temporary files that killed processes left anywhere in `folder`, to which no process may write now."""
    for part in folder.rglob(".*.part"):
        with suppress(OSError):
            part.unlink()


def _remove_stale(path: Path) -> None:
    for part in path.parent.glob(f".{path.name}.*.part"):
        with suppress(OSError):
            if time.time() - part.lstat().st_mtime > STALE_S:
                part.unlink()


def read_text(path: Path, limit: int = MAX_TEXT_BYTES) -> str:
    """Return the text of a file that somebody else may have made.

    Raises:
        ValueError: It is no regular file, larger than `limit` bytes, or not UTF-8; the message is without the path.
        OSError: It cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe would wait for its writer
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("it is not a regular file")
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it is larger than {limit >> 20} MiB")
    return content.decode()


def check_unpacked_size(path: Path) -> None:
    """Raise ValueError, without the path, if what a zip file says that it holds is larger than `MAX_UNPACKED_BYTES`.

    Reading a member stops at the size that the file states for it.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ValueError(str(error)) from None
    if size > MAX_UNPACKED_BYTES:
        raise ValueError(f"it holds more than {MAX_UNPACKED_BYTES >> 20} MiB")


def refuse_links(path: Path, inside: Path) -> None:
    """Raise a LinkError if `path`, or a folder between it and `inside`, is a link: it could lead anywhere.

    Args:
        path: A file or folder in `inside`, which need not exist.
        inside: A folder that the user named; it may be reached through links.
    """
    for part in (path, *path.parents):
        if part == inside:
            return
        if part.is_symlink():
            raise LinkError(f"{part} is a link; copy the study with its files in it, for example with cp -rL")
    raise AssertionError(f"{path} is not in {inside}")


def open_without_links(path: Path, flags: int) -> int:
    """Open a file for its owner to read and write, creating it if `flags` say so, and return the descriptor.

    Raises:
        LinkError: It is a link, or not a plain file.
    """
    try:
        descriptor = os.open(path, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise LinkError(f"{path} is not a plain file; remove it") from None
        raise error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # a pipe opens for reading at once
        os.close(descriptor)
        raise LinkError(f"{path} is not a plain file; remove it")
    return descriptor
