"""A record in PostgreSQL: a real server of this test's own, started by hand."""

import os
import shutil
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.execution.searcher import Searcher
from study.execution.worker import Report
from study.store.database import public
from study.store.directory import create
from study.store.record import Record
from study.store.request import Request
from study_common.errors import StudyWarning, UserError
from study_common.layout import RECORD_FILE
from tests.conftest import Command
from tests.study.toys import metrics_of

PASSWORD = "s3cret"
PORT = "54329"


def as_server(*words: object) -> None:
    """Run a command as a user that PostgreSQL accepts: never root."""
    user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    subprocess.run([*user, *map(str, words)], check=True, capture_output=True, cwd="/")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of an empty database, with a password."""
    found = shutil.which("pg_ctl") or next(map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), None)
    if not found:
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    programs, home = Path(found).resolve().parent, Path("/tmp") / f"study-postgresql-{os.getpid()}"
    home.mkdir(mode=0o777)
    home.chmod(0o777)
    (home / "password").write_text(PASSWORD)
    try:
        as_server(programs / "initdb", "-D", home / "data", "-U", "me", "-A", "scram-sha-256", "--no-sync",
                  f"--pwfile={home / 'password'}")  # fmt: skip
        as_server(programs / "pg_ctl", "-D", home / "data", "-w", "-l", home / "log",
                  "-o", f"-p {PORT} -k {home} -c listen_addresses=127.0.0.1", "start")  # fmt: skip
        try:
            yield f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{PORT}/postgres"
        finally:
            as_server(programs / "pg_ctl", "-D", home / "data", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def test_a_study_is_kept_and_resumed_there(
    url: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    with pytest.warns(StudyWarning, match="others can read the password"):
        request = request_of(trials=2, storage=url)
    with Record.open(url, "s", request.objectives, new=True) as record:
        first = Searcher(request, record, tmp_path, token="", extra={})
        jobs = [first.suggest(name)["job"] for name in ("a", "b")]  # type: ignore[index]
        report = Report(epoch=9, seconds=1.0, metrics=metrics_of(jobs[0].flat, 9), last=True)
        first.on_trial_complete("a", {"report": report})
    with Record.open(url, "s", request.objectives) as record:
        again = Searcher(request, record, tmp_path, token="", extra={})
        assert again.suggest("c")["job"].number == 1  # type: ignore[index]
        assert [trial.state.name for trial in record.trials(9)] == ["COMPLETE", "RUNNING"]
        record.snapshot(tmp_path / RECORD_FILE)
    with Record.open(f"sqlite:///{tmp_path / RECORD_FILE}", "s", request.objectives) as copy:
        assert [trial.state.name for trial in copy.study.get_trials()] == ["COMPLETE", "RUNNING"]
    request.write(tmp_path)
    assert not [path for path in tmp_path.iterdir() if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_password_comes_from_the_environment_or_a_file(
    place: str, url: str, request_of: Callable[..., Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = url.replace(f":{PASSWORD}", "")
    with pytest.raises(UserError, match="PGPASSWORD"):
        Record.open(bare, place, request_of().objectives, new=True)
    if place == "environment":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    else:
        (tmp_path / "passwords").write_text(f"127.0.0.1:{PORT}:postgres:me:{PASSWORD}\n")
        (tmp_path / "passwords").chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "passwords"))
    with Record.open(bare, place, request_of().objectives, new=True):
        pass


@pytest.mark.parametrize("module", ["study.status", "study.resume"])
def test_a_password_in_a_storage_is_warned_of_whatever_the_command(
    module: str,
    url: str,
    request_of: Callable[..., Request],
    tmp_path: Path,
    command: Command,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which a command replaces
    create(request_of(name="s", storage=public(url)), str(tmp_path))
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        wrong = url.replace(PASSWORD, "wrong")
        code, out, error = command(module, "s", "--runs-dir", str(tmp_path), "--storage", wrong)
    assert (code, out) == (2, "")
    assert error.startswith("warning: others can read the password in --storage")
    assert "wrong" not in error


def test_a_name_that_is_taken_is_refused(url: str, request_of: Callable[..., Request]) -> None:
    objectives = request_of().objectives
    with Record.open(url, "taken", objectives, new=True):
        pass
    with pytest.raises(UserError, match="has a study taken already"):
        Record.open(url, "taken", objectives, new=True)


def test_a_wrong_password_is_one_line(url: str, request_of: Callable[..., Request]) -> None:
    with pytest.raises(UserError, match="cannot open the record") as refused:
        Record.open(url.replace(PASSWORD, "wrong"), "s", request_of().objectives)
    assert "wrong" not in str(refused.value)
    assert "\n" not in str(refused.value)
