"""Where data is kept on a machine, and files that many processes share: locks, and documents with a digest."""

import errno
import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from study_common.documents import parse_json
from study_common.errors import UserError
from study_common.files import open_without_links, read_text, replacing
from study_common.locks import fcntl
from study_common.output import SILENT_WAIT_S

TEMPORARY = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.ENOMEM, errno.EMFILE, errno.ENFILE)
"""Errors that say nothing about a file: it may be readable the next time."""
MAX_DOCUMENT_BYTES = 256 * 2**20
"""Size up to which a document is read: that of a few million image files."""

_log = logging.getLogger(__name__)


def check_temporary(path: Path, error: Exception) -> None:
    """Raise UserError if `path` could not be read for a reason that may be gone the next time."""
    if isinstance(error, MemoryError) or getattr(error, "errno", None) in TEMPORARY:
        raise UserError(f"{path} cannot be read now ({error}); try again, or remove it")


def cache_folder() -> Path:
    """Return where data is kept between runs: $XDG_CACHE_HOME/sgt-pact-study, by default in ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sgt-pact-study"


@contextmanager
def locked(path: Path, work: str) -> Iterator[None]:
    """Let one process of a machine at a time into the block; the lock ends with its holder, however that ends.

    Args:
        path: The file of the lock, which stays.
        work: What the holder does, for those that wait longer than `SILENT_WAIT_S`: "process 7 <work>".

    Raises:
        UserError: The file is a link, or no plain file.
    """
    with os.fdopen(open_without_links(path, os.O_RDWR | os.O_CREAT | os.O_APPEND), "a+") as file:
        start, said = time.monotonic(), False
        while not _try_lock(file.fileno()):
            if not said and time.monotonic() - start > SILENT_WAIT_S:
                file.seek(0)
                _log.warning("waiting: process %s %s (%s)", file.read().strip() or "unknown", work, path)
                said = True
            time.sleep(0.05)
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_checked(path: Path, document: Any) -> None:
    """Write a JSON document behind a line with its SHA-256, in one step."""
    text = json.dumps(document)
    with replacing(path) as part:
        part.write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}")


def read_checked(path: Path) -> Any:
    """Return the document that `write_checked` wrote; None if it is missing or damaged."""
    try:
        digest, _, text = read_text(path, MAX_DOCUMENT_BYTES).partition("\n")
    except (OSError, ValueError):
        return None
    return parse_json(text) if hashlib.sha256(text.encode()).hexdigest() == digest else None
