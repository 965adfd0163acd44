"""The commands that the service starts, and how it stops what runs a study.

Each is an ordinary `python -m study.launch`, `resume` or `confirm` in a session of its own, its output in a file: it
outlives the service, and a service that is started again finds it by the lock of its study.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO

from study.service.settings import Settings
from study.service.workplace import Workplace
from study.store.lease import is_held
from study_common.documents import parse_json
from study_common.errors import UserError
from study_common.files import open_without_links, read_text
from study_common.layout import LOCK_FILE, REQUEST_FILE
from study_common.output import printable

TAIL_BYTES = 8192
"""How much of the end of a log is read."""


class BusyError(UserError):
    """What is asked does not go with what runs at present."""


@dataclass(frozen=True, kw_only=True)
class Command:
    """A command that this service started."""

    kind: str
    """launch, resume or confirm."""
    process: subprocess.Popen[bytes]
    log: Path
    began: float = field(default_factory=time.time)

    @property
    def runs(self) -> bool:
        """Whether it has not ended."""
        return self.process.poll() is None


class Processes:
    """Starts and stops commands; no two at a time for one study."""

    def __init__(self, settings: Settings, workplace: Workplace) -> None:
        self._settings = settings
        self._workplace = workplace
        self._commands: dict[str, Command] = {}
        self._turn = threading.Lock()

    def of(self, name: str) -> Command | None:
        """Return the last command for the study `name`, if this service started one."""
        return self._commands.get(name)

    def unborn(self) -> list[str]:
        """Return the names of studies that were started and have no directory: not yet, or their launch failed."""
        return [
            name
            for name, command in list(self._commands.items())
            if command.kind == "launch" and not (self._settings.runs_dir / name / REQUEST_FILE).exists()
        ]

    def launch(self, space: str, name: str, options: Mapping[str, object]) -> str:
        """Start a study and return its name, which is the next free one of the space if `name` is "".

        Args:
            space: The name of an allowed space.
            name: Of the study.
            options: Flags of `study.launch` without their dashes, and their values.

        Raises:
            UserError: The name is taken.
            BusyError: As many commands run as may.
        """
        with self._turn:
            self._check_room()
            unborn = self.unborn()
            taken = {one for one in unborn if self._commands[one].runs}

            def is_free(one: str) -> bool:
                return one not in taken and not os.path.lexists(self._settings.runs_dir / one)

            chosen = name or next(one for n in count(1) if is_free(one := f"{space}-{n}"))
            if not is_free(chosen):
                raise BusyError(f"there is a study {chosen} already; choose another name")
            given = {"space": self._settings.spaces[space], "name": chosen, **options}
            self._start("launch", chosen, _typed(given))
            return chosen

    def resume(self, name: str, options: Mapping[str, object]) -> None:
        """Continue a study; BusyError if it runs, or as many commands run as may."""
        with self._turn:
            self._check_idle(name)
            self._start("resume", name, [name, *_typed(options)])

    def confirm(self, name: str, options: Mapping[str, object]) -> None:
        """Confirm trials of a study; BusyError if it runs, or as many commands run as may."""
        with self._turn:
            self._check_idle(name)
            self._start("confirm", name, [name, *_typed(options)])

    def stop(self, name: str) -> None:
        """Ask what runs the study to stop, as Ctrl-C does; nothing is lost.

        Raises:
            BusyError: Nothing runs it on this machine.
        """
        directory = self._settings.runs_dir / name
        command = self.of(name)
        if is_held(directory):
            os.kill(_holder(directory), signal.SIGTERM)
        elif command and command.runs:
            command.process.send_signal(signal.SIGTERM)
        else:
            raise BusyError(f"nothing runs {name} on this machine")

    def _check_room(self) -> None:
        if sum(command.runs for command in self._commands.values()) >= self._settings.max_running:
            raise BusyError(
                f"{self._settings.max_running} commands run already (--max-running); stop one, or wait for its end"
            )

    def _check_idle(self, name: str) -> None:
        self._check_room()
        command = self.of(name)
        if is_held(self._settings.runs_dir / name) or (command and command.runs):
            raise BusyError(f"{name} runs; stop it first, or wait for its end")

    def _start(self, kind: str, name: str, words: Sequence[str]) -> None:
        log = self._workplace.logs / f"{name}.log"
        line = [
            sys.executable,
            "-m",
            f"study.{kind}",
            *words,
            "--runs-dir",
            str(self._settings.runs_dir.resolve()),
        ]
        with _opened(log) as output:
            process = subprocess.Popen(
                line, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._commands[name] = Command(kind=kind, process=process, log=log)


def last_lines(path: Path, most: int) -> list[str]:
    """Return the last lines of a log, without control characters; none of a file that is missing or a link."""
    with contextlib.suppress(OSError, UserError), open(open_without_links(path, os.O_RDONLY), "rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
        text = file.read(TAIL_BYTES).decode("utf-8", "replace")
        return [printable(line) for line in text.splitlines()[-most:]]
    return []


def _typed(options: Mapping[str, object]) -> list[str]:
    """Return options as they are typed, each in one word, so that no value is taken for an option.

    >>> _typed({"time_budget": "30m", "trials": 3, "refit": True, "seed": None})
    ['--time-budget=30m', '--trials=3', '--refit']
    """
    given = {f"--{name.replace('_', '-')}": value for name, value in options.items()}
    return [
        flag if value is True else f"{flag}={value}"
        for flag, value in given.items()
        if value is not None and value is not False
    ]


def _opened(log: Path) -> IO[bytes]:
    """Open the log of a study anew."""
    log.unlink(missing_ok=True)
    return os.fdopen(open_without_links(log, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb")


def _holder(directory: Path) -> int:
    """Return the process that holds the lock of a study.

    Raises:
        BusyError: It runs on another machine, or has not said yet which it is.
    """
    lock = directory / LOCK_FILE
    try:
        holder = parse_json(read_text(lock, 4096))
        pid, host = int(holder["pid"]), str(holder["host"])
    except (OSError, ValueError, KeyError, TypeError):
        raise BusyError(f"{directory.name} is just starting; try again in a moment") from None
    if host != socket.gethostname():
        raise BusyError(f"{directory.name} runs on {host}; stop it there")
    if not _has_open(pid, lock):
        raise BusyError(f"{directory.name} is just starting; try again in a moment")
    return pid


def _has_open(pid: int, path: Path) -> bool:
    """Tell whether process `pid` has `path` open: the file may still name the holder before this one.

    Where the system does not say, as on macOS, the file is believed.
    """
    folder = Path(f"/proc/{pid}/fd")
    if not Path("/proc/self/fd").is_dir():
        return True
    try:
        return any(os.path.realpath(link) == os.path.realpath(path) for link in folder.iterdir())
    except OSError:
        return False
