"""What is started outlives the service; what runs is stopped as by Ctrl-C; two commands never work on one study."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from study.service.processes import BusyError, Processes, last_lines
from study.service.settings import Settings, allowed_datasets
from study.service.workplace import Workplace
from study_common.layout import LOCK_FILE
from tests.study.service.conftest import settings_of

HOLDER = """
import fcntl, json, os, signal, socket, sys, time
lock = open(sys.argv[1], "w")
fcntl.flock(lock, fcntl.LOCK_EX)
json.dump({"pid": os.getpid(), "host": sys.argv[2] or socket.gethostname()}, lock)
lock.flush()
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def processes(settings: Settings, workplace: Workplace) -> Processes:
    return Processes(settings, workplace)


def holder(runs: Path, host: str = "") -> subprocess.Popen[str]:
    """A process that holds the study as a driver does."""
    words = [sys.executable, "-c", HOLDER, str(runs / "sample" / LOCK_FILE), host]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def driver(runs: Path) -> Iterator[subprocess.Popen[str]]:
    with holder(runs) as process:
        yield process
        process.kill()


def test_a_driver_that_this_service_did_not_start_is_stopped(
    processes: Processes, driver: subprocess.Popen[str]
) -> None:
    processes.stop("sample")
    assert driver.wait(60) == 143


def test_what_runs_is_neither_resumed_nor_confirmed(
    processes: Processes, driver: subprocess.Popen[str]
) -> None:
    for act in (processes.resume, processes.confirm):
        with pytest.raises(BusyError, match="stop it first"):
            act("sample", {})
    assert processes.of("sample") is None


def test_a_process_that_only_has_the_number_is_left_alone(processes: Processes, runs: Path) -> None:
    """The file of a lock may name the holder before this one, whose number another process has by now."""
    lock = runs / "sample" / LOCK_FILE
    with subprocess.Popen(["sleep", "60"]) as bystander, lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(f'{{"pid": {bystander.pid}, "host": "{os.uname().nodename}"}}')
        file.flush()
        with pytest.raises(BusyError, match="just starting"):
            processes.stop("sample")
        assert bystander.poll() is None
        bystander.kill()


def test_a_driver_elsewhere_is_named(processes: Processes, runs: Path) -> None:
    with holder(runs, host="far") as process:
        with pytest.raises(BusyError, match="runs on far"):
            processes.stop("sample")
        process.kill()


def test_nothing_to_stop_is_said(processes: Processes) -> None:
    with pytest.raises(BusyError, match="nothing runs"):
        processes.stop("sample")


def test_a_launch_that_fails_says_why(runs: Path, tmp_path: Path, workplace: Workplace) -> None:
    """It runs in a session of its own, and the limit of commands holds while it runs."""
    (tmp_path / "empty").mkdir()
    settings = settings_of(runs, datasets=allowed_datasets([f"folder={tmp_path / 'empty'}"]), max_running=1)
    processes = Processes(settings, workplace)
    name = processes.launch("mixed_bits", "", {"dataset": "folder", "data_dir": str(tmp_path / "empty")})
    assert name == "mixed_bits-1"
    command = processes.of(name)
    assert command is not None
    assert command.runs
    assert os.getsid(command.process.pid) == command.process.pid
    with pytest.raises(BusyError, match="--max-running"):
        processes.launch("mixed_bits", "", {})
    assert command.process.wait(60) == 2
    assert processes.unborn() == [name]
    (line,) = last_lines(command.log, 5)
    assert line.startswith("error: ")
    assert str(tmp_path / "empty") in line
    with pytest.raises(BusyError, match="already"):
        processes.launch("mixed_bits", "sample", {})


def test_a_command_that_has_not_the_study_yet_is_stopped(processes: Processes) -> None:
    processes.resume("sample", {"trials": 30})
    command = processes.of("sample")
    assert command is not None
    with pytest.raises(BusyError, match="stop it first"):
        processes.resume("sample", {})
    processes.stop("sample")
    assert command.process.wait(30) == -signal.SIGTERM


def test_the_end_of_a_log_is_read_and_no_more(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_bytes(b"x" * 100_000 + b"\nlast but one \xff\nlast\x07\n")
    start = time.perf_counter()
    assert last_lines(log, 2) == ["last but one \N{REPLACEMENT CHARACTER}", "last?"]
    assert time.perf_counter() - start < 1
    assert last_lines(tmp_path / "nowhere", 2) == []
    (tmp_path / "link").symlink_to(log)
    assert last_lines(tmp_path / "link", 2) == []
