"""Drivers that are killed, interrupted or robbed of their Ray: nothing is lost, and a resume ends at the total."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import results
import study
from study_common import layout
from study_common.errors import UserError
from study_common.layout import REQUEST_FILE, TRIALS_DIR
from tests.study import drive, toys

pytestmark = pytest.mark.usefixtures(
    "local_ray"
)  # of the resumes: each driver that is killed has one of its own

TRIALS = 16


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A driver once at least two of its trials have ended; it starts a Ray of its own, whatever others there are."""
    process = subprocess.Popen(
        drive.command(tmp_path, TRIALS, pause=0.4), cwd=drive.ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, env=os.environ | {"RAY_ADDRESS": "127.0.0.1:1"},
    )  # fmt: skip
    assert process.stdout
    for line in process.stdout:
        if line.startswith("trials") and not line.startswith(("trials 0/", "trials 1/")):
            break
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def check_resume(directory: Path) -> None:
    """Resume the study, and find what had ended as it was and what ran continued from where it was."""
    before = results.load(directory).trials
    curves = {path: path.read_text() for path in directory.glob(f"{TRIALS_DIR}/*/{layout.CURVE_FILE}")}
    assert curves
    assert study.resume_study(directory, train=toys.toy).code == 0
    after = results.load(directory).trials
    assert len(after) == TRIALS
    assert set(after["state"]) <= {"complete", "stopped"}
    ended = before["state"].isin(["complete", "stopped"])
    pd.testing.assert_frame_equal(after[: len(before)][ended], before[ended])
    assert all(path.read_text().startswith(text) for path, text in curves.items())


def test_a_killed_driver_loses_nothing(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"another driver .process {driver.pid}"):
        study.resume_study(tmp_path / "s", train=toys.toy)
    driver.kill()
    driver.wait()
    assert "running" in set(results.load(tmp_path / "s").trials["state"])
    check_resume(tmp_path / "s")


def test_a_driver_killed_before_its_first_trial_is_resumed(tmp_path: Path) -> None:
    driver = subprocess.Popen(
        drive.command(tmp_path, TRIALS, pause=0.0), cwd=drive.ROOT, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, env=os.environ | {"RAY_ADDRESS": "127.0.0.1:1"},
    )  # fmt: skip
    while driver.poll() is None and not (tmp_path / "s" / REQUEST_FILE).exists():
        time.sleep(0.005)
    driver.kill()
    driver.wait()
    assert not (tmp_path / "s" / TRIALS_DIR).exists()
    assert study.resume_study(tmp_path / "s", train=toys.toy).code == 0
    assert len(results.load(tmp_path / "s").trials) == TRIALS


@pytest.mark.slow
def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    driver.send_signal(signal.SIGINT)
    out, _ = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGINT
    assert f"python -m study.resume s --runs-dir {tmp_path}" in out
    assert "Traceback" not in out
    assert not list((tmp_path / "s").glob("study.db-*"))
    assert (tmp_path / "s" / "report.html").exists()
    check_resume(tmp_path / "s")


@pytest.mark.slow
def test_ctrl_c_twice_ends_at_once(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    driver.send_signal(signal.SIGINT)
    time.sleep(0.2)
    driver.send_signal(signal.SIGINT)
    out, _ = driver.communicate(timeout=5)
    assert driver.returncode == 128 + signal.SIGINT
    assert "continue with" not in out, "it did not wait for the first stop"
    check_resume(tmp_path / "s")


@pytest.mark.slow
def test_sigterm_ends_cleanly(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    driver.terminate()
    out, _ = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGTERM
    assert "study.resume" in out
    assert "Traceback" not in out
    assert "running" in set(results.load(tmp_path / "s").trials["state"])


@pytest.mark.slow
def test_a_lost_ray_session_loses_nothing(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    for pid in descendants(driver.pid):
        os.kill(pid, signal.SIGKILL)
    driver.communicate(timeout=150)
    check_resume(tmp_path / "s")


@pytest.mark.slow
def test_without_ray_s_control_service_the_study_ends_and_says_how_to_go_on(
    driver: subprocess.Popen[str], tmp_path: Path
) -> None:
    """It was silent for a minute, and ended with Ray's own words."""
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_text() for pid in descendants(driver.pid)}
    service = next(pid for pid, line in lines.items() if "/gcs_server" in line.partition("\0")[0])
    killed = time.monotonic()
    os.kill(service, signal.SIGKILL)
    out, _ = driver.communicate(timeout=90)
    assert time.monotonic() - killed < 50
    assert driver.returncode == 1
    line = next(line for line in out.splitlines() if "Ray's control service at" in line)
    assert line.endswith(f"continue with: python -m study.resume s --runs-dir {tmp_path}")
    check_resume(tmp_path / "s")


@pytest.mark.slow
def test_no_process_outlives_a_killed_driver_for_long(driver: subprocess.Popen[str]) -> None:
    """Workers, scheduler and dashboard end at once; Ray's own agents give up after a minute."""
    children = descendants(driver.pid)
    assert children
    driver.kill()
    driver.wait()
    deadline = time.monotonic() + 90
    while (left := [pid for pid in children if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert not left


def descendants(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [n for child in map(int, children) for n in (child, *descendants(child))]


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
