"""The directory of a study, `runs/<name>/`: naming it, making it in one step, and writing what the study says."""

import re
import shlex
import shutil
import tempfile
from itertools import count
from pathlib import Path

import results
import trainables
from study.store import database
from study.store.record import Record
from study.store.request import Request
from study_common.errors import UserError
from study_common.layout import FILES_FILE, RECORD_FILE, TRIALS_DIR

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def record_url(request: Request, directory: Path) -> str:
    """Return the URL of the study's record; ValueError if its file is gone or empty though there are trials."""
    if request.storage:
        return request.storage
    file = directory / RECORD_FILE
    empty = not file.exists() or file.stat().st_size == 0
    if empty and has_trials(directory):
        raise UserError(
            f"{file} is missing or empty though there are trials; copy the whole study while no driver is running"
        )
    return database.url_in(directory)


def has_trials(directory: Path) -> bool:
    """Tell whether a trial of the study in `directory` has begun."""
    trials = directory / TRIALS_DIR
    return trials.is_dir() and any(trials.iterdir())


def free_name(name: str, space: str, runs_dir: str) -> str:
    """Return `name` if it is a good one and free, or for "" the space's name and the next free number."""
    if not name:
        return next(new for n in count(1) if not (Path(runs_dir) / (new := f"{space}-{n}")).exists())
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
    directory = directory.resolve()
    usual = directory.parent == Path("runs").resolve()
    where = [] if usual else ["--runs-dir", str(directory.parent)]
    return shlex.join(["python", "-m", "study.resume", directory.name, *where])


def create(request: Request, runs_dir: str) -> Path:
    """Make the directory with its `study.toml`, whole or not at all; ValueError if it cannot be made."""
    directory = Path(runs_dir) / request.name
    draft = None
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=f".{request.name}-", dir=directory.parent))
        draft.chmod(0o755)
        request.write(draft)
        trainables.write_files(request.config({}), draft / FILES_FILE)
        draft.rename(directory)
    except OSError as error:
        if draft:
            shutil.rmtree(draft, ignore_errors=True)
        if directory.exists():
            raise UserError(exists(request.name, runs_dir)) from None
        raise UserError(
            f"cannot create {directory}: {error.strerror}; make room or choose another --runs-dir"
        ) from None
    return directory


def rewrite(request: Request, directory: Path) -> None:
    """Replace the `study.toml` of a study, in one step."""
    request.write(directory)


def write_results(request: Request, directory: Path, record: Record) -> None:
    """Write table, front and report; and beside them a copy of a record that is kept elsewhere."""
    if request.storage:
        record.snapshot(directory / RECORD_FILE)
    results.write_results(directory)
