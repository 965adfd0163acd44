"""Which records elsewhere may be opened without being named.

The `study.toml` of a copied study can name any database. Connecting to it would hand it a password from the
environment, and opening it could alter it. So a record elsewhere is opened only if this user launched the study on this
machine, or has named its record with --storage here before.
"""

import hashlib
import os
from contextlib import suppress
from pathlib import Path

from study_common.files import real


def remember(directory: Path, url: str) -> None:
    """Remember that the user named the record at `url` for the study in `directory`; do nothing without a home."""
    with suppress(OSError):
        file = _file(directory, url)
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch()


def is_known(directory: Path, url: str) -> bool:
    """Tell whether the user named the record at `url` for the study in `directory` before."""
    return _file(directory, url).exists()


def _file(directory: Path, url: str) -> Path:
    home = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    name = hashlib.sha256(f"{real(directory)}\n{url}".encode()).hexdigest()
    return Path(home) / "sgt-pact-study" / "records" / name
