"""Where the record of a study is, and when it is gone."""

import errno
import os
import shutil
import socket
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import replace
from pathlib import Path

import pytest

import results
from study.execution import driver
from study.execution.cluster import Cluster
from study.execution.searcher import Searcher
from study.execution.worker import Report
from study.planning.spec import Spec
from study.store.directory import NameTakenError, claim, create, free_name, record_url
from study.store.record import Record, new_result
from study.store.request import Request
from study_common.errors import UserError
from study_common.layout import LOCK_FILE, RECORD_FILE, REQUEST_FILE, TRIALS_DIR
from tests.conftest import Command
from tests.permissions import open_to_all
from tests.study.toys import metrics_of


def test_a_record_is_in_the_directory_unless_it_is_elsewhere(
    request_of: Callable[..., Request], tmp_path: Path
) -> None:
    request = request_of()
    ours = f"sqlite:///{tmp_path / RECORD_FILE}"
    assert record_url(request, tmp_path) == ours, "of a launch that was cut short before the record"
    (tmp_path / TRIALS_DIR).mkdir()
    assert record_url(request, tmp_path) == ours, "nothing was trained yet"
    (tmp_path / TRIALS_DIR / "0").mkdir()
    (tmp_path / RECORD_FILE).write_bytes(b"SQLite format 3")
    assert record_url(request, tmp_path) == ours
    url = "postgresql://me@db/studies"
    elsewhere = replace(request, storage=url)
    assert record_url(elsewhere, tmp_path, named=url) == url
    assert record_url(elsewhere, tmp_path) == url, "it was named before"
    with pytest.raises(UserError, match="leave out --storage"):
        record_url(request, tmp_path, named=url)


def test_naming_one_database_does_not_allow_the_one_that_a_copied_study_names(
    request_of: Callable[..., Request], tmp_path: Path
) -> None:
    theirs, mine = "postgresql://me@evil/studies", "postgresql://me@db/studies"
    copied = replace(request_of(), storage=theirs)
    assert record_url(copied, tmp_path, named=mine) == mine
    with pytest.raises(UserError, match=f"add --storage {theirs} to open that database"):
        record_url(copied, tmp_path)


def test_a_copied_study_does_not_choose_which_database_is_opened(
    request_of: Callable[..., Request], tmp_path: Path, command: Command
) -> None:
    """A fake server used to receive the password from PGPASSWORD."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"postgresql://me@127.0.0.1:{server.getsockname()[1]}/studies"
        directory = create(request_of(name="s", storage=url), str(tmp_path / "there"))
        (tmp_path / "here").mkdir()
        directory.rename(tmp_path / "here" / "s")
        for words in ("study.status s", "study.resume s"):
            code, out, error = command(*words.split(), "--runs-dir", str(tmp_path / "here"))
            assert (code, out) == (2, "")
            assert f"add --storage {url} to open that database" in error
        server.settimeout(0.1)
        with pytest.raises(TimeoutError):
            server.accept()


def test_reading_alters_no_database_of_another_program(
    request_of: Callable[..., Request], tmp_path: Path, command: Command
) -> None:
    with closing(sqlite3.connect(tmp_path / "theirs.db")) as theirs:
        theirs.execute("create table books (title text)")
        theirs.commit()
    before = (tmp_path / "theirs.db").read_bytes()
    create(request_of(name="s", storage=f"sqlite:///{tmp_path}/theirs.db"), str(tmp_path))
    assert "trials 0/15" in command("study.status", "s", "--runs-dir", str(tmp_path))[1]
    assert (tmp_path / "theirs.db").read_bytes() == before


def test_a_launch_that_was_killed_while_it_made_the_tables_is_resumed(
    request_of: Callable[..., Request], tmp_path: Path
) -> None:
    request = request_of(name="s")
    directory = create(request, str(tmp_path))
    url = record_url(request, directory)
    with closing(sqlite3.connect(directory / RECORD_FILE)) as half:
        columns = "version_info_id integer primary key, schema_version integer, library_version varchar(256)"
        half.execute(f"create table version_info ({columns})")
        half.commit()
    assert not Record.exists(url, "s")
    with Record.open(url, "s", request.objectives, new=True):
        assert Record.exists(url, "s")


@pytest.mark.parametrize("name", ["what?", "50%", "{x}", "a b#c", "é"])
def test_a_record_is_where_the_study_is_whatever_its_path(
    name: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    """ "?" used to send the record to a stray file."""
    request = request_of(name="s")
    directory = create(request, str(tmp_path / name))
    with Record.open(record_url(request, directory), "s", request.objectives, new=True):
        assert (directory / RECORD_FILE).is_file()
    with Record.open(record_url(request, directory), "s", request.objectives):
        pass
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert len(results.load(directory).trials) == 0


def test_launches_at_once_get_names_of_their_own(request_of: Callable[..., Request], tmp_path: Path) -> None:
    """All chose the same name before any made its directory."""
    requests = [request_of() for _ in range(20)]
    assert {request.name for request in requests} == {"mixed_bits-1"}
    with ThreadPoolExecutor(20) as pool:
        claimed = list(pool.map(lambda request: claim(request, str(tmp_path), "mixed_bits"), requests))
    assert sorted(request.name for request, _ in claimed) == sorted(f"mixed_bits-{n}" for n in range(1, 21))
    for request, directory in claimed:
        assert Request.read(directory).name == request.name == directory.name
    with pytest.raises(NameTakenError, match="exists already"):
        claim(requests[0], str(tmp_path))


@pytest.mark.parametrize(
    ("space", "name"), [(".hid", "hid-1"), ("-rf", "rf-1"), ("a\nb", "a-b-1"), ("...", "study-1")]
)
def test_an_automatic_name_is_one_that_every_command_takes(space: str, name: str, tmp_path: Path) -> None:
    assert free_name("", space, str(tmp_path)) == name


def test_what_a_killed_driver_left_half_written_is_removed_by_the_next(
    request_of: Callable[..., Request], tmp_path: Path
) -> None:
    request = request_of(name="s", trials=1)
    old = tmp_path / f".s-{'0' * 16}"
    old.mkdir()
    os.utime(old, (0, 0))
    for name in (f".s-{'1' * 16}", f".s-{'g' * 16}"):  # of a launch that runs now, and nobody's
        (tmp_path / name).mkdir()
    directory = create(request, str(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {"s", f".s-{'1' * 16}", f".s-{'g' * 16}"}
    with Record.open(record_url(request, directory), "s", request.objectives, new=True) as record:
        record.add({}, {}, {**new_result(0), "finished": "2026-01-01T00:00:00+00:00", "error": "none"})
    run = directory / TRIALS_DIR / "0"
    run.mkdir(parents=True)
    (run / ".saliency.npz.0123456789abcdef.part").touch()
    assert driver.resume_study(directory).code == 0
    assert not list(run.iterdir())


def test_the_umask_is_kept(request_of: Callable[..., Request], tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        directory = create(request_of(name="s"), str(tmp_path))
    finally:
        os.umask(before)
    assert directory.stat().st_mode & 0o777 == 0o700
    assert (directory / REQUEST_FILE).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("file", [LOCK_FILE, RECORD_FILE])
def test_a_link_in_a_study_is_not_followed(
    file: str, request_of: Callable[..., Request], tmp_path: Path, command: Command
) -> None:
    """A link in the place of driver.lock overwrote a file elsewhere."""
    request = request_of(name="s")
    directory = create(request, str(tmp_path))
    with Record.open(record_url(request, directory), "s", request.objectives, new=True):
        pass
    (directory / file).unlink(missing_ok=True)
    (tmp_path / "mine").write_text("mine")
    (directory / file).symlink_to(tmp_path / "mine")
    code, _, error = command("study.resume", "s", "--runs-dir", str(tmp_path))
    assert (code, error.count("\n")) == (2, 1)
    assert "is a link" in error or "is not a plain file" in error
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize("harm", ["missing", "empty"])
def test_trials_without_a_record_are_half_a_study(
    harm: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    (tmp_path / TRIALS_DIR / "0").mkdir(parents=True)
    if harm == "empty":
        (tmp_path / RECORD_FILE).touch()
    with pytest.raises(UserError, match="missing or empty though there are trials; copy the whole study"):
        record_url(request_of(), tmp_path)
    elsewhere = replace(request_of(), storage="postgresql://me@db/studies")
    assert record_url(elsewhere, tmp_path, named=elsewhere.storage) == elsewhere.storage


def test_trials_are_never_taken_for_those_of_a_new_record(
    request_of: Callable[..., Request], tmp_path: Path
) -> None:
    directory = create(request_of(storage=f"sqlite:///{tmp_path}/gone.db"), str(tmp_path))
    (directory / TRIALS_DIR / "0").mkdir(parents=True)
    with pytest.raises(UserError, match=r"gone.db has no record of mixed_bits-1 though there are trials"):
        driver.resume_study(directory)
    assert not (tmp_path / "gone.db").exists()


def test_a_record_in_a_file_is_found_from_everywhere(
    request_of: Callable[..., Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert request_of(storage="sqlite:///studies.db").storage == f"sqlite:///{tmp_path}/studies.db"


def test_a_disk_without_locks_keeps_nothing(
    spec_of: Callable[..., Spec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(
        driver, "connected", lambda address, workers: nullcontext(Cluster(dashboard="", cpus=2))
    )
    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(UserError, match="use a --runs-dir on a disk that has locks"):
        driver.run_study(spec_of(storage=f"sqlite:///{tmp_path}/elsewhere.db"))
    assert not list(tmp_path.iterdir())


def test_the_home_of_the_user_is_found_in_a_storage(
    request_of: Callable[..., Request], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ "~" used to be a directory of that name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    request = request_of(name="s", storage="sqlite:///~/studies.db")
    assert request.storage == f"sqlite:///{tmp_path}/studies.db"
    with Record.open("sqlite:///~/studies.db", "s", request.objectives, new=True):
        assert (tmp_path / "studies.db").is_file()
    assert Record.exists("sqlite:///~/studies.db", "s")


def test_a_record_in_memory_is_refused_before_ray_starts(
    spec_of: Callable[..., Spec], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "connected", lambda *_: pytest.fail("Ray started"))
    with pytest.raises(UserError, match=r"sqlite:///:memory: keeps nothing; leave it out, or name a file"):
        driver.run_study(spec_of(storage="sqlite:///:memory:"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("words", ["study.resume s", "study.status s", "study.confirm s --trials 0"])
def test_a_record_of_another_schema_is_one_line(
    words: str, request_of: Callable[..., Request], tmp_path: Path, command: Command
) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    request = request_of(name="s", storage=url)
    directory = create(request, str(tmp_path))
    with Record.open(url, "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        metrics = metrics_of(searcher.suggest("a")["job"].flat, 9)  # type: ignore[index]
        searcher.on_trial_complete("a", {"report": Report(epoch=9, seconds=1.0, metrics=metrics, last=True)})
        record.snapshot(directory / RECORD_FILE)
    with closing(sqlite3.connect(tmp_path / "records.db")) as older:
        older.execute("update version_info set schema_version = 1")
        older.execute("update alembic_version set version_num = 'v0.9.0.a'")
        older.commit()
    code, _, error = command(*words.split(), "--runs-dir", str(tmp_path))
    assert (code, error.count("\n")) == (2, 1), error
    assert "another version of Optuna" in error


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not write")
def test_a_read_only_copy_of_a_killed_study_is_read_whole(
    request_of: Callable[..., Request], tmp_path: Path, command: Command
) -> None:
    """What the driver left in the -wal could not be read without writing beside it."""
    request = request_of(name="s")
    directory = create(request, str(tmp_path / "there"))
    copy = tmp_path / "here" / "s"
    with Record.open(record_url(request, directory), "s", request.objectives, new=True) as record:
        record.add(request.queue[0], request.distributions(), new_result(seed=7))
        shutil.copytree(directory, copy)
    assert (copy / f"{RECORD_FILE}-wal").stat().st_size
    for module in ("study.status", "results.front"):  # imports what the other user may not be able to
        command(module, "s", "--runs-dir", str(tmp_path / "there"))
    open_to_all(copy)
    os.setresuid(65534, 65534, 0)
    try:
        said = command("study.status", "s", "--runs-dir", str(copy.parent))
        front = command("results.front", "s", "--runs-dir", str(copy.parent))
    finally:
        os.setresuid(0, 0, 0)
    assert said[0] == 0, said
    assert "(interrupted): trials 0/15, 1 running" in said[1] or "running 1" in said[1], said
    assert (front[0], front[2].count("\n")) in ((0, 0), (2, 1)), front
    assert "unable to open" not in front[2]


def test_a_copy_of_a_study_whose_record_is_elsewhere_says_where(
    request_of: Callable[..., Request], tmp_path: Path, command: Command
) -> None:
    url = f"sqlite:///{tmp_path}/records.db"
    create(request_of(name="s", storage=url), str(tmp_path / "there")).rename(tmp_path / "s")
    for module in ("study.status", "results.front"):
        code, out, error = command(module, "s", "--runs-dir", str(tmp_path))
        assert (code, out, error.count("\n")) == (2, "", 1)
        assert f"--storage {url}" in error
