"""The directory of a study, `runs/<name>/`: naming it, making it in one step, and writing what the study says."""

import re
import secrets
import shlex
import shutil
import time
from contextlib import suppress
from dataclasses import replace
from itertools import count
from pathlib import Path

import results
import trainables
from results.analysis.frames import params
from results.analysis.studies import rows_of
from study.store import database, known_records
from study.store.record import Record
from study.store.request import Request
from study_common.errors import UserError
from study_common.files import STALE_S, real, refuse_links, remove_parts
from study_common.layout import FILES_FILE, RECORD_FILE, TRIALS_DIR

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def record_url(request: Request, directory: Path, named: str = "") -> str:
    """Return the URL of the study's record.

    Args:
        request: The study.
        directory: Directory of the study.
        named: What the user gave as --storage, "" if nothing.

    Raises:
        UserError: Its file is a link, gone or empty though there are trials, or the record is elsewhere and the user
            has neither launched the study here nor named the record.
    """
    if request.storage:
        if named:
            database.check_typed(named)
            known_records.remember(directory, database.public(named))
        elif not known_records.is_known(directory, request.storage):
            raise UserError(
                f"the record of {request.name} is in {request.storage}, and the study was not launched here; add "
                f"--storage {shlex.quote(request.storage)} to open that database"
            )
        return named or request.storage
    if named:
        raise UserError(f"the record of {request.name} is in its directory; leave out --storage")
    file = directory / RECORD_FILE
    refuse_links(file, directory)
    empty = not file.exists() or file.stat().st_size == 0
    if empty and has_trials(directory):
        raise UserError(
            f"{file} is missing or empty though there are trials; copy the whole study while no driver is running"
        )
    return database.url_in(directory)


def check_record(request: Request, directory: Path) -> None:
    """Raise UserError if the record in the directory of a study was damaged, before anything goes on from it."""
    if not request.storage and database.exists(database.url_in(directory)):
        params(rows_of(directory, request.document(), request.objectives))


def remove_temporary(directory: Path) -> None:
    """Remove what killed workers left half-written in the folders of the runs; only for who holds the study."""
    for folder in directory.iterdir():
        if folder.is_dir() and not folder.is_symlink():
            remove_parts(folder)


def has_trials(directory: Path) -> bool:
    """Tell whether a trial of the study in `directory` has begun."""
    trials = directory / TRIALS_DIR
    return trials.is_dir() and any(trials.iterdir())


def free_name(name: str, space: str, runs_dir: str) -> str:
    """Return `name` if it is a good one and free, or for "" the space's name and the next free number."""
    if not name:
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", space).lstrip("._-")[:90] or "study"
        return next(new for n in count(1) if not (Path(runs_dir) / (new := f"{stem}-{n}")).exists())
    if not _NAME.fullmatch(name):
        raise UserError(
            f"{name!r} cannot name a study: use letters, digits, '.', '_' and '-', starting with a letter or digit"
        )
    if (Path(runs_dir) / name).exists():
        raise UserError(exists(name, runs_dir))
    return name


def exists(name: str, runs_dir: str) -> str:
    """Return the message for a name that is taken; it says how to go on with that study."""
    go_on = resume_command(Path(runs_dir) / name)
    return f"the study {name} exists already; continue it with {go_on} or choose another --name"


def resume_command(directory: Path) -> str:
    """Return the command that continues the study in `directory`."""
    directory = real(directory)
    usual = directory.parent == real("runs")
    where = [] if usual else ["--runs-dir", str(directory.parent)]
    return shlex.join(["python", "-m", "study.resume", directory.name, *where])


def claim(request: Request, runs_dir: str, space: str = "") -> tuple[Request, Path]:
    """Make the directory of a new study, under the next free name if another launch was faster.

    Args:
        request: The study, named as `free_name` proposed.
        runs_dir: The directory of all studies.
        space: The name that automatic names begin with; "" if the user chose the name.
    """
    while True:
        try:
            return request, create(request, runs_dir)
        except NameTakenError:
            if not space:
                raise
            request = replace(request, name=free_name("", space, runs_dir))


class NameTakenError(UserError):
    """There is a study of that name; the message says how to continue it."""


def create(request: Request, runs_dir: str) -> Path:
    """Make the directory with its `study.toml` and, of images in a folder, `files.csv`, completely or not at all.

    Raises:
        NameTakenError: There is one already.
        UserError: It cannot be made.
    """
    directory = Path(runs_dir) / request.name
    draft = directory.with_name(f".{request.name}-{secrets.token_hex(8)}")
    _remove_drafts(directory)
    try:
        draft.mkdir(parents=True)
        request.write(draft)
        trainables.write_files(request.config({}), draft / FILES_FILE)
        draft.rename(directory)
    except OSError as error:
        shutil.rmtree(draft, ignore_errors=True)
        if directory.exists():
            raise NameTakenError(exists(request.name, runs_dir)) from None
        raise UserError(
            f"cannot create {directory}: {error.strerror}; make room or choose another --runs-dir"
        ) from None
    if request.storage:
        known_records.remember(directory, request.storage)
    return directory


def _remove_drafts(directory: Path) -> None:
    """Remove what killed launches of studies of this name left."""
    for draft in directory.parent.glob(f".{directory.name}-" + "[0-9a-f]" * 16):
        with suppress(OSError):
            if time.time() - draft.lstat().st_mtime > STALE_S:
                shutil.rmtree(draft)


def rewrite(request: Request, directory: Path) -> None:
    """Replace the `study.toml` of a study, in one step."""
    request.write(directory)


def write_results(request: Request, directory: Path, record: Record) -> None:
    """Write table, front and report; and beside them a copy of a record that is kept elsewhere."""
    if request.storage:
        record.snapshot(directory / RECORD_FILE)
    results.write_results(directory)
