"""One driver a study: on this machine by the kernel's lock, from elsewhere by the heartbeat."""

import contextlib
import errno
import fcntl
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.store import database, lease
from study.store.lease import Lease, is_current, is_held
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.errors import UserError
from study_common.layout import RECORD_FILE

ELSEWHERE = {"token": "theirs", "beat": 0, "host": "elsewhere", "pid": 7, "directory": "/there"}


@pytest.fixture
def record(tmp_path: Path, request_of: Callable[..., Request]) -> Iterator[Record]:
    with Record.open(database.url_in(tmp_path), "s", request_of().objectives, new=True) as record:
        yield record


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "BEAT", 0.1)
    monkeypatch.setattr(lease, "TAKEOVER_S", 0.6)


def test_a_second_driver_is_refused_and_told_who_runs_it(record: Record, tmp_path: Path) -> None:
    with Lease(tmp_path, record) as first:
        assert is_current(tmp_path, first.token)
        assert is_held(tmp_path)
        with pytest.raises(UserError, match=r"another driver .process .* runs this study"):
            Lease(tmp_path, record)
        assert is_current(tmp_path, first.token)
    assert not is_held(tmp_path)
    with Lease(tmp_path, record) as second:
        assert second.token != first.token


def test_a_disk_without_locks_is_told(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(lease.fcntl, "flock", refuse)
    with pytest.raises(UserError, match=r"cannot be locked \(No locks available\); use a --runs-dir"):
        Lease(tmp_path, record)


def test_no_room_for_the_lease_is_told(record: Record, small_disk: Path) -> None:
    """The record is on another disk."""
    with (small_disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    with pytest.raises(UserError, match="No space left on device"):
        Lease(small_disk, record)
    (small_disk / "ballast").unlink()
    with Lease(small_disk, record) as later:
        assert is_current(small_disk, later.token)


def test_a_dead_driver_of_this_machine_is_followed_at_once(record: Record, tmp_path: Path) -> None:
    with Lease(tmp_path, record) as dead:
        left_behind = record.attributes()[layout.LEASE]
    record.set_attribute(
        layout.LEASE, left_behind
    )  # as kill -9 leaves it: the heartbeat is there, the lock is not
    began = time.monotonic()
    with Lease(tmp_path, record) as alive:
        assert time.monotonic() - began < 0.5
        assert not is_current(tmp_path, dead.token)
        assert is_current(tmp_path, alive.token)


def test_a_record_that_another_process_locks_is_one_line(
    tmp_path: Path, request_of: Callable[..., Request], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.1)
    with (
        Record.open(database.url_in(tmp_path), "s", request_of().objectives, new=True) as record,
        contextlib.closing(sqlite3.connect(tmp_path / RECORD_FILE)) as other,
    ):
        other.execute("begin immediate")
        with pytest.raises(UserError, match="the record cannot be used: database is locked"):
            Lease(tmp_path, record)
        assert not is_held(tmp_path)


def test_a_heart_that_beats_elsewhere_is_respected(record: Record, tmp_path: Path) -> None:
    with Lease(tmp_path, record):
        (tmp_path / "copied").mkdir()
        with pytest.raises(UserError, match="another driver"):
            Lease(tmp_path / "copied", record)  # the same database from another directory
    assert json.loads((tmp_path / layout.LOCK_FILE).read_text())["pid"]


def test_a_heart_that_stands_still_is_taken_over(record: Record, tmp_path: Path) -> None:
    record.set_attribute(layout.LEASE, ELSEWHERE)
    began = time.monotonic()
    with Lease(tmp_path, record):
        assert time.monotonic() - began > 0.5


@pytest.mark.parametrize("found", ["x", ["x"], {"token": "x", "host": 3}])
def test_a_lease_that_no_driver_wrote_is_told(found: object, record: Record, tmp_path: Path) -> None:
    record.set_attribute(layout.LEASE, found)
    with pytest.raises(UserError, match=r"the lease in the record: .*must be"):
        Lease(tmp_path, record)
    assert not is_held(tmp_path)


def test_a_lease_of_nobody_known_is_taken_over(record: Record, tmp_path: Path) -> None:
    record.set_attribute(layout.LEASE, {"token": "x"})
    with Lease(tmp_path, record) as ours:
        assert not ours.lost


@pytest.mark.parametrize("content", ["[]", '"x"', "[" * 100_000, '{"token": 3}'])
def test_a_lock_file_that_no_driver_wrote_is_not_ours(content: str, tmp_path: Path) -> None:
    (tmp_path / layout.LOCK_FILE).write_text(content)
    assert not is_current(tmp_path, "x")


def test_a_driver_that_lost_its_lease_notices(record: Record, tmp_path: Path) -> None:
    with Lease(tmp_path, record) as ours:
        assert not ours.lost
        record.set_attribute(layout.LEASE, ELSEWHERE)
        deadline = time.monotonic() + 60
        while not ours.lost and time.monotonic() < deadline:
            time.sleep(0.05)
        assert "process 7 on elsewhere" in ours.lost
    assert record.attributes()[layout.LEASE] == ELSEWHERE, "the other's lease is left alone"


def test_clocks_play_no_part(record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "time", lambda: 0.0)
    with Lease(tmp_path, record):
        monkeypatch.setattr(time, "time", lambda: 4e9)
        with pytest.raises(UserError, match="another driver"):
            Lease(tmp_path, record)


@pytest.mark.parametrize("text", ["[" * 100_000, "[1]", "5", "{", '{"pid": 7}'])
def test_a_held_lock_of_any_text_is_held(text: str, record: Record, tmp_path: Path) -> None:
    (tmp_path / layout.LOCK_FILE).write_text(text)
    assert not is_current(tmp_path, "token")
    with (tmp_path / layout.LOCK_FILE).open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another driver runs this study"):
            Lease(tmp_path, record)
