"""What the pages and the API show of a study, and what changes whenever that does."""

import contextlib
import os
import re
import time
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import TrialState

from results.analysis.following import Following, Look
from results.analysis.studies import Study
from study.execution.progress import PAUSED, state_name
from study.execution.status_line import state_of
from study.service.processes import Command, Processes, last_lines
from study.service.workplace import Workplace
from study.store import known_records, lease
from study.store.record import Record, faults_as_user_errors
from study.store.request import Request
from study_common import layout
from study_common.errors import UserError
from study_common.layout import EXHAUSTED, study_names

LOG_LINES = 6
"""Last lines of a trial's log that are shown."""
COMMAND_LINES = 12
"""Last lines of the output of a command that are shown."""
MAX_OPEN = 64
"""Trials whose logs are shown, of each state."""

VERBS = {"launch": "starting", "resume": "resuming", "confirm": "confirming"}
"""What a command of each kind does before it holds the study."""

COPY_S = 5.0
"""Seconds after which a record elsewhere, or one that could not be read, is asked for again."""

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}"
"""Pattern of the name of a study."""


@dataclass(frozen=True, kw_only=True)
class OpenTrial:
    """A trial that runs, pauses or failed, and what it said last."""

    number: int
    state: str
    epochs: int
    """At the last rung."""
    worker: str
    error: str
    log: list[str]


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """A study as its record was at one moment."""

    study: Study
    states: dict[str, int]
    """Number of trials by state; paused ones apart from running ones."""
    total: int
    """How many trials the study will have."""
    trials: list[OpenTrial]
    holder: layout.Holder
    """Who holds the study, as its record says."""

    @property
    def is_complete(self) -> bool:
        """Whether the study has all its trials, to their ends."""
        return sum(self.states.values()) >= self.total and not (self.states["running"] or self.states[PAUSED])

    @cached_property
    def front(self) -> int:
        """Members of the front."""
        return len(self.study.front())

    @cached_property
    def hypervolume(self) -> float:
        """Hypervolume of the front."""
        return self.study.hypervolume()


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How a study stands: what of it is known without its record, and its snapshot, if that can be read."""

    name: str
    state: str
    """starting, running, confirming, interrupted, complete, not started, damaged, ..."""
    problem: str
    """Why there is no snapshot, in a sentence; "" if there is one."""
    output: list[str]
    """The last lines of the command that this service started last."""
    snapshot: Snapshot | None

    @property
    def is_busy(self) -> bool:
        """Whether a command on this machine works on it, which can be stopped."""
        return self.state in ("running", *VERBS.values())

    @property
    def can_start(self) -> bool:
        """Whether it may be resumed or confirmed."""
        return self.snapshot is not None and not self.is_busy


class Snapshots:
    """Reads the studies of one directory."""

    def __init__(self, workplace: Workplace, processes: Processes) -> None:
        self._runs_dir = workplace.runs_dir
        self._copies = workplace.copies
        self._processes = processes
        self._following: defaultdict[str, Following] = defaultdict(Following)

    def names(self) -> list[str]:
        """Return the names of all studies, those included whose launch has not made a directory yet."""
        there = [name for name in study_names(str(self._runs_dir)) if self.directory(name)]
        return sorted({*there, *self._processes.unborn()})

    def directory(self, name: str) -> Path | None:
        """Return the directory of a study; None if there is none, or if it is elsewhere behind a link."""
        path = self._runs_dir / name
        is_there = re.fullmatch(NAME, name) and (path / layout.REQUEST_FILE).is_file()
        return path if is_there and path.resolve().parent == self._runs_dir.resolve() else None

    def exists(self, name: str) -> bool:
        """Tell whether there is a study of this name, or one that was started under it."""
        return self.directory(name) is not None or name in self._processes.unborn()

    def signature(self, name: str, known: Standing | None) -> tuple[Any, ...]:
        """Return what changes whenever a study does, by some calls to the file system.

        Args:
            name: Of the study.
            known: How it stood, which says whose logs are worth watching.
        """
        directory, command = self.directory(name), self._processes.of(name)
        output = (command.kind, command.runs, _stamp(command.log)) if command else ()
        if directory is None:
            return output
        trials = known.snapshot.trials if known and known.snapshot else []
        folders = [
            directory / layout.TRIALS_DIR / str(one.number) for one in trials if one.state == "running"
        ]
        asks_again = bool(known and _is_asked_again(known))
        copied = asks_again and known is not None and known.snapshot is not None  # by this service
        return (
            *output,
            _is_held(directory),
            *(_stamp(directory / file) for file in (FILES if copied else (*FILES, *RECORD_FILES))),
            int(time.monotonic() / COPY_S) if asks_again else 0,
            *(_stamp(folder / file) for folder in folders for file in (layout.CURVE_FILE, layout.LOG_FILE)),
        )

    def standing(self, name: str) -> Standing:
        """Return how a study stands now."""
        directory, command = self.directory(name), self._processes.of(name)
        snapshot, problem = None, ""
        if directory is not None:
            try:
                snapshot = _read(directory, self._copies, self._following[name])
            except UserError as error:
                problem = str(error)
        state = _state(directory, command, snapshot)
        if snapshot is None and state in ("starting", "not started"):
            problem = ""
        return Standing(
            name=name,
            state=state,
            problem=problem,
            output=last_lines(command.log, COMMAND_LINES) if command else [],
            snapshot=snapshot,
        )


FILES = (layout.REQUEST_FILE, layout.REPORT_FILE)
RECORD_FILES = (layout.RECORD_FILE, f"{layout.RECORD_FILE}-wal")


def _stamp(path: Path) -> tuple[int, int, int]:
    with contextlib.suppress(OSError):
        found = os.stat(path, follow_symlinks=False)
        return found.st_mtime_ns, found.st_size, found.st_ino
    return 0, 0, 0


def _is_asked_again(known: Standing) -> bool:
    """Tell whether no file says when a study changes: it could not be read, or its record is elsewhere."""
    return known.snapshot is None or bool(_storage(known.snapshot.study.request))


def _storage(request: Mapping[str, Any]) -> str:
    return str(request.get("request", {}).get("storage") or "")


def _read(directory: Path, copies: Path, following: Following) -> Snapshot:
    """Read the study in `directory`; a record elsewhere is copied into it first, by way of the folder `copies`.

    Raises:
        UserError: As `results.load`, or the record elsewhere cannot be reached.
    """
    request = Request.read(directory)
    if (url := request.storage) and known_records.is_known(directory, url):
        copy = copies / f"{directory.name}.db"
        with faults_as_user_errors(), Record.open(url, request.name, request.objectives) as record:
            record.snapshot(copy)
            copy.replace(directory / layout.RECORD_FILE)  # as its driver does at the end
    document = request.document()
    is_driven = lease.is_held(directory)
    look = following.look(directory, document, request.objectives, is_driven=is_driven)
    states = {number: state_name(TrialState[state]) for number, state in look.states.items()}
    is_exhausted = EXHAUSTED in look.attributes
    seeds = [{"seed": seed} for seed in look.study.trials["seed"]] if is_exhausted else []
    counts = Counter(states.values())
    return Snapshot(
        study=look.study,
        states={
            state: counts.get(state, 0) for state in ("running", PAUSED, "complete", "stopped", "failed")
        },
        total=len(states) + request.replicates_left(seeds)
        if is_exhausted
        else max(request.attainable, len(states)),
        trials=_open_trials(directory, look, states),
        holder=lease.holder_in(look.attributes),
    )


def _open_trials(directory: Path, look: Look, states: dict[int, str]) -> list[OpenTrial]:
    """Return the trials that run, pause or failed: of each state the newest `MAX_OPEN`, running ones first."""
    chosen: list[int] = []
    for state in ("running", PAUSED, "failed"):
        chosen += [number for number in states if states[number] == state][-MAX_OPEN:][::-1]
    rows = look.study.trials.set_index("number").loc[chosen, ["epochs", "error"]]
    return [
        OpenTrial(
            number=number,
            state=states[number],
            epochs=int(epochs),
            worker=look.workers[number],
            error="" if pd.isna(error) else error,
            log=last_lines(directory / layout.TRIALS_DIR / str(number) / layout.LOG_FILE, LOG_LINES),
        )
        for number, epochs, error in rows.itertuples()
    ]


def _is_held(directory: Path) -> bool:
    """Tell whether a study is held; it is not if its lock cannot be used, of which `_read` tells."""
    with contextlib.suppress(UserError):
        return lease.is_held(directory)
    return False


def _state(directory: Path | None, command: Command | None, snapshot: Snapshot | None) -> str:
    held = directory is not None and _is_held(directory)
    if command and command.runs:
        if command.kind == "confirm":
            return VERBS["confirm"]
        return "running" if held else VERBS[command.kind]
    if directory is None:
        return "not started"
    if snapshot is None:
        return "running" if held else "not readable"
    return state_of(directory, snapshot.holder, is_complete=snapshot.is_complete)
