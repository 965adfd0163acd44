"""A study whose stdout breaks, in each way that a shell can break one, completes all the same."""

import os
import pty
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import ray

import results
from tests.study import drive

TRIALS = 3
Broken = Callable[[list[str]], int]


def reader_leaves(command: list[str]) -> int:
    with subprocess.Popen(command, cwd=drive.ROOT, stdout=subprocess.PIPE) as driver:
        assert driver.stdout
        driver.stdout.readline()
        driver.stdout.close()
        return driver.wait()


def disk_is_full(command: list[str]) -> int:
    with open("/dev/full", "w") as full:
        return subprocess.run(command, cwd=drive.ROOT, stdout=full, stderr=full).returncode


def closed_from_the_start(command: list[str]) -> int:
    return subprocess.run(["bash", "-c", '"$@" >&- 2>&-', "bash", *command], cwd=drive.ROOT).returncode


def only_ascii(command: list[str]) -> int:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    return subprocess.run(command, cwd=drive.ROOT, env=environment, capture_output=True).returncode


def terminal_closes(command: list[str]) -> int:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        command, cwd=drive.ROOT, stdout=theirs, stderr=theirs, start_new_session=True
    ) as driver:
        os.close(theirs)
        os.read(ours, 1)
        os.close(ours)
        return driver.wait()


WAYS: list[Broken] = [reader_leaves, disk_is_full, closed_from_the_start, only_ascii, terminal_closes]


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("broken", WAYS, ids=lambda way: way.__name__)
def test_a_study_completes_whatever_becomes_of_its_output(
    broken: Broken, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk with a Ray of its own, whose start prints as well."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    runs = tmp_path / "résultats"
    address = "" if broken is disk_is_full else ray.get_runtime_context().gcs_address
    assert broken(drive.command(runs, TRIALS, pause=0.0, address=address)) == 0
    found = results.load(runs / "s")
    assert len(found.trials) == TRIALS
    assert set(found.trials["state"]) <= {"complete", "stopped"}
    assert (runs / "s" / "report.html").exists()
