"""How studies stand: read from their directories, whatever state these are in."""

import fcntl
import os
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
import pytest
from starlette.testclient import TestClient

import results
from study.execution.status_line import status_line
from study.service.kept import Kept
from study.service.processes import Processes
from study.service.settings import Settings
from study.service.snapshots import Snapshots, Standing
from study.service.workplace import Workplace
from study.store import database, known_records
from study_common import layout
from tests.results import sample
from tests.study import postgresql
from tests.study.service.conftest import planned, write_study

T = TypeVar("T")


@pytest.fixture
def snapshots(settings: Settings, workplace: Workplace) -> Snapshots:
    return Snapshots(workplace, Processes(settings, workplace))


def test_a_study_stands_as_its_report_says(snapshots: Snapshots, runs: Path) -> None:
    standing = snapshots.standing("sample")
    study = results.load(runs / "sample")
    assert standing.snapshot is not None
    assert standing.snapshot.front == len(study.front())
    assert standing.snapshot.hypervolume == study.hypervolume()
    states = study.trials["state"].value_counts()
    for state, count in standing.snapshot.states.items():
        assert count == states.get(state, 0)
    assert standing.state == "interrupted"
    assert standing.can_start
    assert not standing.is_busy


FEW = {"name": "few", "parameters": {"lambda1": {"type": "choice", "values": [n / 10 for n in range(1, 10)]}}}
"""A space of nine configurations."""


@pytest.mark.parametrize(
    ("changes", "state", "total"),
    [
        ({}, "interrupted", 60),
        ({"space": FEW, "queue": []}, "complete", 9),
        ({"attributes": {layout.EXHAUSTED: True}}, "complete", 9),
        ({"attributes": {layout.EXHAUSTED: True}, "request": planned()["request"] | {"replicates": 20}},
         "interrupted", 26),
    ],
    ids=["trials are left", "a finite space", "exhausted", "replicates are left"],
)  # fmt: skip
def test_a_study_stands_as_its_status_says(
    changes: dict[str, Any], state: str, total: int, snapshots: Snapshots, runs: Path
) -> None:
    """The page called a study interrupted that had tried all of a finite space."""
    ended = [trial for trial in sample.trials(20) if trial.values][:9]
    for number, trial in enumerate(ended):
        known = {**trial.user_attrs[layout.RESULT], "seed": int(number >= 6)}  # three are replicates
        ended[number] = sample.trial(trial.params, known)
    write_study(runs / "ended", ended, name="ended", **changes)
    standing = snapshots.standing("ended")
    assert standing.snapshot is not None
    assert (standing.state, standing.snapshot.total) == (state, total)
    assert status_line(runs / "ended").startswith(f"ended ({state}): trials 9/{total}, ")


def test_paused_trials_are_told_from_running_ones(snapshots: Snapshots, runs: Path) -> None:
    with sqlite3.connect(runs / "sample" / layout.RECORD_FILE) as record:
        record.execute("UPDATE trials SET state = 'WAITING' WHERE number = 22")
    snapshot = snapshots.standing("sample").snapshot
    assert snapshot is not None
    assert (snapshot.states["running"], snapshot.states["paused"]) == (0, 1)


def test_open_and_failed_trials_come_with_the_end_of_their_logs(snapshots: Snapshots) -> None:
    snapshot = snapshots.standing("sample").snapshot
    assert snapshot is not None
    trials = {trial.number: trial for trial in snapshot.trials}
    assert trials[22].state == "running"
    assert trials[22].log[0] == "first line"
    assert "\x1b" not in trials[22].log[1]
    assert trials[23].error.startswith("<script>")


def test_the_log_of_a_trial_is_not_read_through_a_link(snapshots: Snapshots, runs: Path) -> None:
    log = runs / "sample" / "trials" / "22" / "log.txt"
    log.unlink()
    log.symlink_to("/etc/passwd")
    snapshot = snapshots.standing("sample").snapshot
    assert snapshot is not None
    assert next(trial for trial in snapshot.trials if trial.number == 22).log == []


def test_the_signature_changes_with_the_record_the_logs_and_the_lock(
    snapshots: Snapshots, runs: Path
) -> None:
    known = snapshots.standing("sample")
    first = snapshots.signature("sample", known)
    assert snapshots.signature("sample", known) == first
    with (runs / "sample" / "trials" / "22" / "log.txt").open("a") as log:
        log.write("more\n")
    second = snapshots.signature("sample", known)
    os.utime(runs / "sample" / layout.RECORD_FILE, (1, 1))
    third = snapshots.signature("sample", known)
    with (runs / "sample" / layout.LOCK_FILE).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fourth = snapshots.signature("sample", known)
        assert snapshots.standing("sample").state == "running"
    assert len({first, second, third, fourth}) == 4


@pytest.mark.parametrize(
    "name", ["..", ".", "", "sample/..", "sample/trials", "/etc", "sample\0", ".service", "elsewhere"]
)
def test_no_name_leads_out_of_the_directory(
    snapshots: Snapshots, runs: Path, tmp_path: Path, name: str
) -> None:
    shutil.copytree(runs / "sample", tmp_path / "outside")
    (runs / "elsewhere").symlink_to(tmp_path / "outside")
    shutil.copy(runs / "sample" / layout.REQUEST_FILE, tmp_path / layout.REQUEST_FILE)
    assert snapshots.directory(name) is None
    assert snapshots.names() == ["sample"]


def damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[100:3000] = bytes(2900)
    path.write_bytes(content)


def test_a_damaged_record_is_told_and_recovers(snapshots: Snapshots, runs: Path, tmp_path: Path) -> None:
    record = runs / "sample" / layout.RECORD_FILE
    shutil.copy(record, tmp_path / "good.db")
    for spoil in (damage, Path.unlink):
        spoil(record)
        standing = snapshots.standing("sample")
        assert standing.state == "not readable"
        assert str(record) in standing.problem
        assert standing.snapshot is None
        shutil.copy(tmp_path / "good.db", record)
        assert snapshots.standing("sample").problem == ""


@pytest.mark.parametrize("spoil", ["link", "pipe", "lease"])
def test_a_study_that_cannot_be_read_hides_no_other(
    spoil: str, client: TestClient, runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(runs / "sample", runs / "bad")
    lock = runs / "bad" / layout.LOCK_FILE
    lock.unlink(missing_ok=True)
    if spoil == "link":
        (tmp_path / "outside").touch()
        lock.symlink_to(tmp_path / "outside")
    elif spoil == "pipe":
        os.mkfifo(lock)
    else:
        with sample.opened(runs / "bad") as study:
            study.set_user_attr(layout.LEASE, ["x"])
    told = "must be a table" if spoil == "lease" else "driver.lock is not a plain file; remove it"
    bad, good = client.get("/api/studies").json()
    assert (bad["name"], bad["state"], good["problem"]) == ("bad", "not readable", "")
    assert told in bad["problem"]
    assert client.get("/").status_code == 200
    assert told in client.get("/studies/bad").text


def test_a_study_of_another_version_is_told(snapshots: Snapshots, runs: Path) -> None:
    write_study(runs / "old", [], format=1)
    assert "format 1" in snapshots.standing("old").problem
    assert snapshots.names() == ["old", "sample"]


def test_a_database_server_that_is_gone_is_told_and_the_page_goes_on(
    snapshots: Snapshots, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("study.service.snapshots.COPY_S", 0.05)
    monkeypatch.setattr("study.service.kept.REST", 0.0)
    with postgresql.running() as server:
        monkeypatch.setenv("PGPASSWORD", postgresql.PASSWORD)
        request = {**planned()["request"], "storage": server.bare_url}
        write_study(runs / "far", list(sample.trials(10)), name="far", request=request)
        there = database.connect(server.url, new=True)
        with sample.opened(runs / "far") as study:
            copied = optuna.create_study(storage=there, study_name="far", directions=study.directions)
            copied.add_trials(study.trials)
        database.close(there)
        known_records.remember(runs / "far", server.bare_url)
        (runs / "far" / layout.RECORD_FILE).unlink()
        kept = Kept(snapshots.signature, snapshots.standing)

        def standing() -> Standing:
            return kept.get("far").value

        assert standing().snapshot is not None
        server.stop()
        problem = until(lambda: standing().problem)
        assert "127.0.0.1" in problem or "connection" in problem
        server.start()
        shown = until(lambda: standing().snapshot)
        assert len(shown.study.trials) == 10


def until(found: Callable[[], T]) -> T:
    """Wait until there is something."""
    deadline = time.monotonic() + 60
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return value


def test_a_record_elsewhere_is_followed_once_its_study_was_launched_here(
    snapshots: Snapshots, runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one in PostgreSQL: the directory has no copy yet."""
    monkeypatch.setattr("study.service.snapshots.COPY_S", 0.05)
    url = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    request = {**planned()["request"], "storage": url}
    write_study(runs / "far", list(sample.trials(10)), name="far", request=request)
    (runs / "far" / layout.RECORD_FILE).rename(tmp_path / "elsewhere.db")
    unknown = snapshots.standing("far")
    assert unknown.state == "not readable"
    assert url in unknown.problem
    known_records.remember(runs / "far", url)
    standing = snapshots.standing("far")
    assert standing.snapshot is not None
    assert len(standing.snapshot.study.trials) == 10
    first = snapshots.signature("far", standing)
    time.sleep(0.1)
    assert snapshots.signature("far", standing) != first
    assert results.load(runs / "far").hypervolume() == standing.snapshot.hypervolume
    (tmp_path / "elsewhere.db").unlink()
    assert "there is no record of far" in snapshots.standing("far").problem
    assert not list((runs / ".service" / "copies").iterdir())
