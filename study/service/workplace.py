"""What the service keeps in the directory of all studies: `.service/`, with its lock, key, token and logs.

Only its owner can read it.
"""

import contextlib
import json
import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

from study_common.documents import parse_json
from study_common.errors import UserError
from study_common.files import open_without_links, read_text, replacing
from study_common.layout import study_names
from study_common.locks import fcntl

FOLDER = ".service"
KEY_BYTES = 32


class Workplace:
    """The directory of all studies, checked to be one that this user may serve.

    Args:
        runs_dir: It is made if it does not exist.

    Raises:
        UserError: It is no directory, of another user, not writable, or holds other things than studies.
    """

    def __init__(self, runs_dir: Path) -> None:
        self.runs_dir = runs_dir
        self._check()
        self.folder = runs_dir / FOLDER
        if self.folder.is_symlink():
            raise UserError(f"{self.folder} is a link; remove it")
        try:
            self.folder.mkdir(mode=0o700, exist_ok=True)
            self.folder.chmod(0o700)
            self.logs.mkdir(exist_ok=True)
            self.copies.mkdir(exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{self.folder} cannot be made ({error.strerror}); choose a --runs-dir that you can write to"
            ) from None

    @property
    def logs(self) -> Path:
        """Where the output of each started command goes."""
        return self.folder / "logs"

    @property
    def copies(self) -> Path:
        """Where a record that is kept elsewhere is copied to."""
        return self.folder / "copies"

    @property
    def token_file(self) -> Path:
        """Where the token is that a start of the service made."""
        return self.folder / "token"

    def _check(self) -> None:
        path = self.runs_dir
        try:
            path.mkdir(parents=True, exist_ok=True)
            owner, names = path.stat().st_uid, os.listdir(path)
        except OSError as error:
            raise UserError(f"--runs-dir {path} cannot be used ({error.strerror}); choose another") from None
        if owner != os.geteuid():
            raise UserError(f"--runs-dir {path} belongs to another user; run the service as its owner")
        if not os.access(path, os.W_OK | os.X_OK):
            raise UserError(f"--runs-dir {path} cannot be written; choose one that you can write to")
        if names and FOLDER not in names and not study_names(str(path)):
            raise UserError(
                f"--runs-dir {path} holds files and no study; name the directory of your studies, or a new one"
            )

    @contextlib.contextmanager
    def held(self, address: str) -> Iterator[None]:
        """Serve this directory alone, at `address`; UserError, naming the other, if another service does."""
        descriptor = open_without_links(self.folder / "lock", os.O_RDWR | os.O_CREAT)
        with os.fdopen(descriptor, "r+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UserError(
                    f"another service{_told(file.read(4096))} serves {self.runs_dir}; use that one, or stop it first"
                ) from None
            file.truncate(0)
            file.write(json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "address": address}))
            file.flush()
            yield

    def key(self) -> bytes:
        """Return the key that signs tokens, made at the first start; to delete its file makes all tokens invalid."""
        path = self.folder / "key"
        with contextlib.suppress(OSError, ValueError):
            known = bytes.fromhex(read_text(path, 4096))
            if len(known) == KEY_BYTES:
                return known
        fresh = secrets.token_bytes(KEY_BYTES)
        _write_private(path, fresh.hex())
        return fresh

    def keep_token(self, token: str) -> None:
        """Write the token to where its owner finds it."""
        _write_private(self.token_file, token + "\n")


def _write_private(path: Path, text: str) -> None:
    with replacing(path) as part:
        part.chmod(0o600)
        part.write_text(text, encoding="utf-8")


def _told(text: str) -> str:
    try:
        other = parse_json(text)
        return f" (process {int(other['pid'])} on {other['host']}, {other['address']})"
    except (ValueError, KeyError, TypeError):
        return ""
