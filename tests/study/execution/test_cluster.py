"""A study on a Ray of two nodes, started as docs/cluster.md says. Here both are this machine."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import results
from tests.study import drive

pytestmark = pytest.mark.slow

RAY = str(Path(sys.executable).with_name("ray"))
PIPED = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}


@contextmanager
def node(*options: str, before: tuple[str, ...] = ()) -> Iterator[tuple[psutil.Process, str]]:
    """Run `ray start` with one CPU; yield its process and what it said."""
    command = [*before, RAY, "start", "--num-cpus=1", "--block", *options]
    with subprocess.Popen(command, **PIPED) as process:  # type: ignore[call-overload]
        said = ""
        for line in process.stdout:
            said += line
            if "block forever" in line:
                break
        try:
            yield psutil.Process(process.pid), said
        finally:
            kill(psutil.Process(process.pid))


def kill(process: psutil.Process) -> None:
    """Kill a node with all that it started, as a power cut would."""
    for each in [process, *process.children(recursive=True)]:
        each.kill()


def make_token(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a token for all nodes, in a home of its own."""
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("RAY_AUTH_MODE", "token")
    monkeypatch.setenv("RAY_raylet_start_wait_time_s", "120")
    subprocess.run([RAY, "get-auth-token", "--generate"], check=True, capture_output=True)


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a Ray of one CPU that is no driver's own, and return its address."""
    make_token(tmp_path, monkeypatch)
    with node("--head", "--port=0", "--include-dashboard=false") as (_, said):
        address = re.search(r"ray start --address='(\S+)'", said)
        assert address, said
        yield address[1]


def test_a_study_outlives_a_machine_that_dies(head: str, tmp_path: Path) -> None:
    with node(f"--address={head}") as (doomed, _):
        command = drive.command(tmp_path, trials=8, pause=1.0, address=head)
        with subprocess.Popen(command, cwd=drive.ROOT, **PIPED) as driver:  # type: ignore[call-overload]
            for line in driver.stdout:
                if re.match(r"trials [2-9].* running 2", line):
                    kill(doomed)
                    break
            said, _ = driver.communicate(timeout=240)
    assert driver.returncode == 0, said
    frame = results.load(tmp_path / "s").trials
    assert len(frame) == 8
    assert set(frame["state"]) <= {"complete", "stopped"}
    logs = [path.read_text() for path in tmp_path.glob("s/trials/*/log.txt")]
    assert sum("resuming it" in log for log in logs) == 1


def test_a_machine_without_the_disk_of_the_study_halts_it(head: str, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {runs} && exec "$@"', "sh")
    if subprocess.run([*hidden, "true"], capture_output=True).returncode:
        pytest.skip("a disk of its own takes root")
    command = drive.command(runs, trials=8, pause=0.1, address=head)
    with node(f"--address={head}", before=hidden):
        halted = subprocess.run(command, cwd=drive.ROOT, **PIPED, timeout=240)  # type: ignore[call-overload]
    assert halted.returncode == 1
    assert (
        f"{runs}/s is not on {os.uname().nodename}; use a --runs-dir that all machines share" in halted.stdout
    )
    assert "failed" not in set(results.load(runs / "s").trials["state"])
    resumed = subprocess.run(command, cwd=drive.ROOT, **PIPED, timeout=240)  # type: ignore[call-overload]
    assert resumed.returncode == 0, resumed.stdout
    assert set(results.load(runs / "s").trials["state"]) <= {"complete", "stopped"}
