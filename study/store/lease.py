"""The lease: one driver per study, and no harm from what a killed driver left behind.

Two locks, since either alone has a hole. A lock on a file of the study's directory is dropped by the kernel the moment
its driver dies, whatever the clocks say; but it need not reach other machines. So the record also carries a heartbeat,
a counter that the holder advances: a contender elsewhere watches it on its own monotonic clock and takes over only
when it has stood still for `TAKEOVER_S` seconds.

The token in the file fences workers: one that an earlier driver started finds another token there and stops before
it writes.
"""

import json
import os
import socket
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, Self, cast

from study.store.record import FAULTS, Record, describe_fault
from study_common import layout
from study_common.documents import parse_json
from study_common.errors import UserError, cannot_use
from study_common.files import MAX_TEXT_BYTES, open_without_links, read_text, real
from study_common.locks import fcntl
from study_common.output import waiting
from study_common.validation import check

BEAT = 2.0
"""Seconds between heartbeats."""
TAKEOVER_S = 15.0
"""Seconds that a heartbeat must stand still before a driver elsewhere may take over."""


class Lease:
    """Held until it is left as a context. `lost` says who took it over, "" as long as nobody did."""

    def __init__(self, directory: Path, record: Record) -> None:
        """Take the study in `directory`; UserError, naming the holder, if another driver runs it."""
        self.lost = ""
        self._record = record
        self._holder: layout.Holder = {
            "token": uuid.uuid4().hex,
            "beat": 0,
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "directory": str(real(directory)),
        }
        self._file = _lock(directory / layout.LOCK_FILE)
        try:
            self._wait_for_silence()
            record.set_attribute(layout.LEASE, self._holder)
            self._file.truncate(0)
            self._file.write(json.dumps(self._holder))
            self._file.flush()
            os.fsync(self._file.fileno())  # other machines see on a shared disk what is synced
        except BaseException as error:
            with suppress(OSError):  # what could not be written is tried once more
                self._file.close()
            if isinstance(error, FAULTS):
                raise UserError(describe_fault(error)) from None
            raise
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)
        self._thread.start()

    @property
    def token(self) -> str:
        """What names this driver."""
        return str(self._holder["token"])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Give the study up."""
        self._stop.set()
        self._thread.join()
        try:
            if not self.lost:
                self._record.set_attribute(layout.LEASE, {})
        except FAULTS:  # the kernel drops the lock anyway; elsewhere they wait for TAKEOVER_S
            pass
        self._file.close()

    def _wait_for_silence(self) -> None:
        holder = holder_in(self._record.attributes())
        if not holder or _place(holder) == _place(self._holder):
            return  # nobody, or a driver whose lock on the file is gone: it is dead
        deadline = time.monotonic() + TAKEOVER_S
        with waiting(f"up to {TAKEOVER_S:.0f} s to see whether {_named(holder)} still runs this study"):
            while time.monotonic() < deadline:
                time.sleep(BEAT / 2)
                now = holder_in(self._record.attributes())
                if not now:
                    return
                if now != holder:
                    raise UserError(_refusal(now))

    def _keep(self) -> None:
        while not self._stop.wait(BEAT):
            try:
                now = holder_in(self._record.attributes())
                if now.get("token") != self.token:
                    self.lost = _refusal(now)
                    return
                self._holder["beat"] += 1
                self._record.set_attribute(layout.LEASE, self._holder)
            except FAULTS:  # the driver meets the same fault and says so
                continue
            except UserError as error:
                self.lost = str(error)
                return


def is_current(directory: Path, token: str) -> bool:
    """Tell whether the driver named by `token` still holds the study in `directory`."""
    try:
        return _parsed(read_text(directory / layout.LOCK_FILE)).get("token") == token
    except (OSError, ValueError):
        return False


def holder_in(attributes: dict[str, Any]) -> layout.Holder:
    """Return who holds a study by its attributes, {} if nobody; UserError if no driver wrote that."""
    found = attributes.get(layout.LEASE) or {}
    check(found, layout.Holder, "the lease in the record")
    return cast("layout.Holder", found)


def check_locks(directory: Path) -> None:
    """Raise UserError if the disk of a new study has no locks."""
    _lock(directory / layout.LOCK_FILE).close()


def is_held(directory: Path) -> bool:
    """Tell whether a driver on this machine runs the study in `directory`, which need not be writable.

    Raises:
        UserError: Its lock is a link, no plain file, or may not be read.
    """
    try:
        with open(open_without_links(directory / layout.LOCK_FILE, os.O_RDONLY), encoding="utf-8") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    except OSError as error:
        raise cannot_use(error) from None
    return False


def _lock(path: Path) -> IO[str]:
    descriptor = open_without_links(path, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    file = os.fdopen(descriptor, "a+", encoding="utf-8")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        text = file.read(MAX_TEXT_BYTES)
        file.close()
        raise UserError(_refusal(_parsed(text))) from None
    except OSError as error:
        file.close()
        raise UserError(
            f"{path} cannot be locked ({error.strerror}); use a --runs-dir on a disk that has locks"
        ) from None
    return file


def _parsed(text: str) -> layout.Holder:
    """Return the holder that a lock file names; {} if no driver wrote it."""
    try:
        return holder_in({layout.LEASE: parse_json(text)})
    except ValueError:
        return {}


def _place(holder: layout.Holder) -> tuple[str | None, str | None]:
    return holder.get("host"), holder.get("directory")


def _refusal(holder: layout.Holder) -> str:
    return f"{_named(holder)} runs this study; watch it with python -m study.status, or stop it first"


def _named(holder: layout.Holder) -> str:
    where = f" (process {holder['pid']} on {holder['host']})" if holder.keys() >= {"pid", "host"} else ""
    return f"another driver{where}"
