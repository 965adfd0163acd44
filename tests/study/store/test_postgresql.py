"""A record in PostgreSQL: a real server of these tests' own."""

import re
import subprocess
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import results
from study.execution.searcher import Searcher
from study.execution.worker import Report
from study.store import database
from study.store.database import public
from study.store.directory import create
from study.store.record import Record, faults_as_user_errors
from study.store.request import Request
from study_common.errors import StudyWarning, UserError
from study_common.layout import RECORD_FILE
from tests.conftest import Command
from tests.study import drive
from tests.study.postgresql import PASSWORD, Server, running
from tests.study.toys import metrics_of


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with running() as server:
        yield server


@pytest.fixture
def url(server: Server) -> str:
    """The URL of the database, with a password."""
    return server.url


def test_a_study_is_kept_and_resumed_there(
    url: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    with pytest.warns(StudyWarning, match="others can read the password"):
        request = request_of(trials=2, storage=url)
    with Record.open(url, "s", request.objectives, new=True) as record:
        first = Searcher(request, record, tmp_path, token="")
        jobs = [first.suggest(name)["job"] for name in ("a", "b")]  # type: ignore[index]
        report = Report(epoch=9, seconds=1.0, metrics=metrics_of(jobs[0].flat, 9), last=True)
        first.on_trial_complete("a", {"report": report})
    with Record.open(url, "s", request.objectives) as record:
        again = Searcher(request, record, tmp_path, token="")
        assert again.suggest("c")["job"].number == 1  # type: ignore[index]
        assert [trial.state.name for trial in record.trials(9)] == ["COMPLETE", "RUNNING"]
        record.snapshot(tmp_path / RECORD_FILE)
    with Record.open(f"sqlite:///{tmp_path / RECORD_FILE}", "s", request.objectives) as copy:
        assert [trial.state.name for trial in copy.study.get_trials()] == ["COMPLETE", "RUNNING"]
    request.write(tmp_path)
    assert not [path for path in tmp_path.iterdir() if PASSWORD.encode() in path.read_bytes()]


@pytest.mark.parametrize("place", ["environment", "file"])
def test_a_password_comes_from_the_environment_or_a_file(
    place: str,
    server: Server,
    request_of: Callable[..., Request],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bare = server.bare_url
    with pytest.raises(UserError, match="PGPASSWORD"):
        Record.open(bare, place, request_of().objectives, new=True)
    if place == "environment":
        monkeypatch.setenv("PGPASSWORD", PASSWORD)
    else:
        (tmp_path / "passwords").write_text(f"127.0.0.1:{server.port}:postgres:me:{PASSWORD}\n")
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


def test_a_server_that_is_restarted_is_waited_for(
    server: Server, request_of: Callable[..., Request], capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether it is back before the next write, or only later, and also after a crash."""
    with Record.open(server.url, "restarted", request_of().objectives, new=True) as record:
        for mode in ("fast", "immediate"):
            server.stop(mode)
            server.start()
            record.set_attribute(mode, "written")
        assert capsys.readouterr().out == ""
        server.stop()
        writing = threading.Thread(target=record.set_attribute, args=("later", "written"))
        writing.start()
        time.sleep(1.0)
        server.start()
        writing.join(30.0)
        assert record.attributes().keys() >= {"fast", "immediate", "later"}
    said = capsys.readouterr().out
    assert said == f"the database {server.bare_url} is gone; waiting up to 60 s for it\n"


def test_a_server_that_does_not_come_back_is_one_line(
    server: Server, request_of: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "RESTART_SECONDS", 1)
    with Record.open(server.url, "gone", request_of().objectives, new=True) as record:
        server.stop()
        try:
            for _ in range(2):
                with pytest.raises(UserError, match=r"the record cannot be used: .*refused") as told:  # noqa: SIM117
                    with faults_as_user_errors():
                        record.set_attribute("key", "value")
                assert "\n" not in str(told.value)
        finally:
            server.start()
        record.set_attribute("key", "value")


@pytest.mark.slow
def test_two_studies_in_one_database_outlive_its_restart(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    totals = {"one": 10, "two": 12}
    commands = [
        drive.command(tmp_path, total, pause=0.5, storage=server.bare_url, name=name)
        for name, total in totals.items()
    ]
    piped = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True, "cwd": drive.ROOT}
    drivers = [subprocess.Popen(command, **piped) for command in commands]  # type: ignore[call-overload]
    for driver in drivers:
        for line in driver.stdout:
            if re.match(r"trials [3-9]", line):
                break
    server.stop()
    time.sleep(4.0)
    server.start()
    said = {name: driver.communicate(timeout=240)[0] for name, driver in zip(totals, drivers, strict=True)}
    for name, total in totals.items():
        assert f"the database {server.bare_url} is gone" in said[name]
        trials = results.load(tmp_path / name).trials
        assert len(trials) == total
        assert set(trials["state"]) <= {"complete", "stopped"}
    assert [driver.returncode for driver in drivers] == [0, 0]
