"""How a study stands in one line: what is read, what is told, and that nothing is written."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from study.execution.searcher import Searcher
from study.execution.status_line import status_line
from study.execution.worker import Report
from study.store import database, lease
from study.store import directory as directories
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.errors import UserError
from study_common.layout import RECORD_FILE, REQUEST_FILE
from tests.conftest import Command
from tests.permissions import open_to_all
from tests.study.toys import metrics_of

RequestOf = Callable[..., Request]


def test_status_tells_paused_trials_apart(command: Command, request_of: RequestOf, tmp_path: Path) -> None:
    request = request_of(name="s", trials=2)
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        for name in ("a", "b"):
            metrics = metrics_of(searcher.suggest(name)["job"].flat, 1)  # type: ignore[index]
            searcher.on_trial_complete(name, {"report": Report(epoch=1, seconds=1.0, metrics=metrics)})
    directories.rewrite(replace(request, trials=1), directory)
    code, out, _ = command("study.status", "s", "--runs-dir", str(tmp_path))
    assert code == 0
    assert out == "s (interrupted): trials 2/2, paused 2, front 0, hypervolume 0.0000\n"


def test_the_name_of_a_copied_study_is_one_line(
    command: Command, request_of: RequestOf, tmp_path: Path
) -> None:
    directory = directories.create(request_of(name="s"), str(tmp_path))
    directory.rename(tmp_path / "t\ns (complete)\x1b[31m")
    out = command("study.status", "--runs-dir", str(tmp_path))[1]
    assert out.startswith("t?s (complete)?[31m, a copy of s (interrupted): ")
    assert out.count("\n") == 1


def test_status_knows_a_driver_of_another_machine(
    command: Command, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(name="s")
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        record.set_attribute(layout.LEASE, {"host": "another", "pid": 1})
    out = command("study.status", "s", "--runs-dir", str(tmp_path))[1]
    assert out.startswith("s (running on another, or interrupted there): trials 0/15")


def test_status_of_a_launch_that_is_being_made_writes_nothing(
    command: Command, request_of: RequestOf, tmp_path: Path
) -> None:
    """Else the launch would find a record of its name."""
    directory = directories.create(request_of(name="s"), str(tmp_path))
    code, out, _ = command("study.status", "s", "--runs-dir", str(tmp_path))
    assert (code, out) == (0, "s (interrupted): trials 0/15, front 0, hypervolume 0.0000\n")
    assert not (directory / RECORD_FILE).exists()
    database.close(database.connect(database.url_in(directory), new=True))
    assert command("study.status", "s", "--runs-dir", str(tmp_path)) == (0, out, "")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_status_needs_no_right_to_write(command: Command, request_of: RequestOf, tmp_path: Path) -> None:
    request = replace(request_of(), name="s")
    directory = directories.create(request, str(tmp_path))
    (directory / layout.LOCK_FILE).touch()
    Record.open(database.url_in(directory), "s", request.objectives, new=True).__exit__()
    open_to_all(tmp_path)
    os.setresuid(65534, 65534, 0)
    try:
        said = command("study.status", "s", "--runs-dir", str(tmp_path))
    finally:
        os.setresuid(0, 0, 0)
    assert said == (0, "s (interrupted): trials 0/15, front 0, hypervolume 0.0000\n", "")


def test_a_record_elsewhere_is_read_once_it_is_named(request_of: RequestOf, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/elsewhere.db"
    request = request_of(name="s", storage=url)
    directory = directories.create(request, str(tmp_path))
    assert status_line(directory).startswith("s (interrupted): trials 0/15"), "a launch that is being made"
    with Record.open(url, "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        metrics = metrics_of(searcher.suggest("a")["job"].flat, 9)  # type: ignore[index]
        searcher.on_trial_complete("a", {"report": Report(epoch=9, seconds=1.0, metrics=metrics, last=True)})
    line = status_line(directory)
    assert "trials 1/15" in line
    assert "front 1" in line
    (directory / "trials" / "0").mkdir(parents=True)
    with pytest.raises(UserError, match="the database of --storage holds no study s; name the one"):
        status_line(directory, f"sqlite:///{tmp_path}/typo.db")
    moved = directory.rename(tmp_path / "t")
    with pytest.raises(UserError, match=f"t: the record of s is in {url}.*--storage"):
        status_line(moved)
    assert status_line(moved, url) == line.replace("s (", "t, a copy of s (", 1)


def test_a_study_whose_lease_is_held_is_running(request_of: RequestOf, tmp_path: Path) -> None:
    request = request_of(name="s")
    directory = directories.create(request, str(tmp_path))
    with (
        Record.open(database.url_in(directory), "s", request.objectives, new=True) as record,
        lease.Lease(directory, record),
    ):
        assert status_line(directory).startswith("s (running): ")
    assert status_line(directory).startswith("s (interrupted): ")


@pytest.mark.parametrize(
    ("file", "text", "says"),
    [
        (REQUEST_FILE, "not TOML", "s: .*study.toml is not a TOML file"),
        (RECORD_FILE, "no SQLite", "s: .*study.db"),
    ],
)
def test_a_damaged_study_is_named(
    file: str, text: str, says: str, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(name="s")
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True):
        pass
    (directory / layout.TRIALS_DIR / "0").mkdir(parents=True)
    (directory / file).write_text(text)
    with pytest.raises(UserError, match=says):
        status_line(directory)


def test_a_line_names_neither_pace_nor_time_left(request_of: RequestOf, tmp_path: Path) -> None:
    """They are those of a driver, and this is none."""
    directory = directories.create(request_of(name="s"), str(tmp_path))
    line = status_line(directory)
    assert "epochs/s" not in line
    assert "ETA" not in line
