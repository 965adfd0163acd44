"""How a study stands, in one line: what `study.status` prints."""

import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from optuna.trial import TrialState

from results.analysis.studies import rows_of
from study.execution.progress import Progress
from study.execution.view import figures
from study.store import database, lease
from study.store import directory as directories
from study.store.record import FAULTS, Record, describe_fault
from study.store.request import Request
from study_common.errors import UserError, located
from study_common.files import real
from study_common.layout import EXHAUSTED, REJECTED, RESULT


def status_line(directory: Path, storage_url: str = "") -> str:
    """Return how a study stands, in one line. Nothing is written.

    Args:
        directory: Directory of the study.
        storage_url: Where its record is, of a study that was not launched on this machine and keeps it elsewhere.

    Raises:
        UserError: The study is damaged or cannot be read.
    """
    with located(directory.name):
        try:
            return _line(directory, storage_url)
        except FAULTS as error:
            raise UserError(describe_fault(error)) from None


def _line(directory: Path, storage_url: str) -> str:
    request = Request.read(directory)
    progress = Progress(request)
    trials, attributes = _read(request, directory, storage_url)
    for ended, known in trials:
        progress.add_recorded(ended, known)
    progress.rejected |= attributes.get(REJECTED, {})
    if EXHAUSTED in attributes:
        progress.expect_no_more(request.replicates_left([known for _, known in trials]))
    state = state_of(directory, lease.holder_in(attributes), is_complete=not progress.unfinished)
    told = figures(progress)
    shown = {name: told[name] for name in told if name not in ("epochs/s", "ETA")}
    name = real(directory).name
    copied = "" if name == request.name else f", a copy of {request.name}"
    return f"{name}{copied} ({state}): " + ", ".join(f"{name} {value}" for name, value in shown.items())


def state_of(directory: Path, holder: Mapping[str, Any], *, is_complete: bool) -> str:
    """Return what becomes of a study now, in a word or two.

    Args:
        directory: Its directory.
        holder: Who holds it, as its record says; {} if nobody.
        is_complete: Whether it has all its trials, to their ends.
    """
    if lease.is_held(directory):
        return "running"
    host = holder.get("host", "")
    if host not in ("", socket.gethostname()):  # whose lock may not reach this machine
        return f"running on {host}, or interrupted there"
    return "complete" if is_complete else "interrupted"


Trials = list[tuple[TrialState, Any]]
"""State and result of each trial."""


def _read(request: Request, directory: Path, storage_url: str) -> tuple[Trials, dict[str, Any]]:
    """Return the trials and the user attributes of a study."""
    url = directories.record_url(request, directory, storage_url)
    return (
        _read_elsewhere(request, directory, url) if request.storage else _read_file(request, directory, url)
    )


def _read_file(request: Request, directory: Path, url: str) -> tuple[Trials, dict[str, Any]]:
    if not database.exists(url):
        return [], {}
    try:
        rows = rows_of(directory, request.document(), request.objectives)
    except UserError:
        if directories.has_trials(directory):
            raise
        return [], {}  # a launch that is making it, or was cut short
    return [(TrialState[state], rows.results[n]) for n, state in rows.states.items()], rows.attributes


def _read_elsewhere(request: Request, directory: Path, url: str) -> tuple[Trials, dict[str, Any]]:
    if not Record.exists(url, request.name):
        if directories.has_trials(directory):
            raise UserError(
                f"the database of --storage holds no study {request.name}; name the one it was launched with"
            )
        return [], {}
    with Record.open(url, request.name, request.objectives) as record:
        trials = record.study.get_trials(deepcopy=False)
        ours = [trial for trial in trials if RESULT in trial.user_attrs]
        return [(trial.state, trial.user_attrs[RESULT]) for trial in ours], record.attributes()
