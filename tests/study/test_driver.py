"""Studies on a real Ray with training that takes no time: every way a trial or a driver can end."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
import ray

import results
import study
from results.record import RECORD_FILE
from study import storage
from study.driver import RETRIES
from tests.study import toys

pytestmark = pytest.mark.slow  # each test starts a Ray or kills one; tests/end_to_end is in the fast suite

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module", autouse=True)
def _one_ray() -> Iterator[None]:
    """One local Ray for all studies of this module but those whose driver is killed."""
    ray.cloudpickle.register_pickle_by_value(toys)
    ray.init(
        num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        _system_config={"metrics_report_interval_ms": 500},
    )  # fmt: skip
    yield
    ray.shutdown()
    ray.cloudpickle.unregister_pickle_by_value(toys)


@pytest.fixture
def spec(tmp_path: Path) -> Callable[..., study.Spec]:
    def make(**given: object) -> study.Spec:
        return study.Spec(
            **{
                "space": "mixed_bits",
                "name": "s",
                "runs_dir": str(tmp_path),
                "sampler": "random",
                "epochs": 3,
            }  # type: ignore[arg-type]
            | given
        )

    return make


def states(directory: Path) -> list[str]:
    return results.load(directory).trials["state"].tolist()


def test_every_trial_ends_as_what_it_is(spec: Callable[..., study.Spec]) -> None:
    outcome = study.run(spec(trials=8, scheduler="fifo"), train=toys.troubled)
    assert outcome.code == 0
    frame = results.load(outcome.directory).trials.set_index("number")
    failed = {1, 2, 4, 5, 6}
    assert {n for n, state in frame["state"].items() if state == "failed"} == failed
    assert {n for n, state in frame["state"].items() if state == "complete"} == {0, 3, 7}
    assert "this trial raises" in frame.loc[1, "error"]
    assert "not a finite number" in frame.loc[2, "error"]
    assert f"died {RETRIES + 1} times" in frame.loc[4, "error"]
    assert "MemoryError" in frame.loc[5, "error"]
    assert "Traceback" in (outcome.directory / "trials" / "1" / "log.txt").read_text()
    assert "taking it up again" in (outcome.directory / "trials" / "3" / "log.txt").read_text()
    assert set(pd.read_csv(outcome.directory / "front.csv")["number"]) <= {0, 3, 7}


def test_the_same_seed_and_one_worker_give_the_same_study(spec: Callable[..., study.Spec]) -> None:
    directories = [
        study.run(spec(name=n, trials=12, workers=1), train=toys.toy).directory for n in ("a", "b")
    ]
    fronts = [(directory / "front.csv").read_bytes() for directory in directories]
    assert fronts[0] == fronts[1]
    frame = results.load(directories[0]).trials
    stopped = frame[frame["state"] == "stopped"]
    assert len(stopped)
    assert (stopped["epochs"] == 1).all()
    assert not set(stopped["number"]) & set(pd.read_csv(directories[0] / "front.csv")["number"])


def test_a_warm_start_tries_the_earlier_front(spec: Callable[..., study.Spec]) -> None:
    earlier = study.run(spec(name="earlier", trials=6), train=toys.toy).directory
    queue = study.plan(spec(name="later", warm_start="earlier")).queue
    front = pd.read_csv(earlier / "front.csv")
    inside = front[front["params.bits.conv1"] != 32]  # the float corner is no point of the space
    assert [point["mask_ratio"] for point in queue[3:]] == inside["params.mask_ratio"].tolist()


def test_a_time_budget_leaves_trials_that_a_resume_continues(spec: Callable[..., study.Spec]) -> None:
    with Scrape("s") as scrape:
        outcome = study.run(spec(trials=6, time_budget_s=6.0), train=toys.sleepy)
    assert (outcome.code, outcome.reason) == (0, "the time budget is used up")
    assert "running" in states(outcome.directory)
    assert scrape.seen == {"study_trials", "study_hypervolume", "study_best", "study_epochs_per_second"}
    resumed = study.resume(outcome.directory, train=toys.toy)
    assert (resumed.code, len(states(outcome.directory))) == (0, 6)
    assert "running" not in states(outcome.directory)


class Scrape(threading.Thread):
    """Reads Ray's metrics endpoint while a study runs; `seen` are the figures of the study that were there."""

    def __init__(self, name: str) -> None:
        super().__init__()
        node = ray.nodes()[0]
        self.seen: set[str] = set()
        self._name_of_study = name
        self._url = f"http://{node['NodeManagerAddress']}:{node['MetricsExportPort']}/metrics"
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(0.3):
            with urllib.request.urlopen(self._url) as answer:
                text = answer.read().decode()
            self.seen |= set(
                re.findall(rf'^ray_(study_\w+){{.*study="{self._name_of_study}".*}}', text, re.M)
            )

    def __enter__(self) -> "Scrape":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join()


def test_a_locked_database_is_given_up_and_the_study_extended_later(
    spec: Callable[..., study.Spec], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "BUSY_SECONDS", 1)
    directory = study.run(spec(trials=2), train=toys.toy).directory
    before = results.load(directory).trials
    with sqlite3.connect(directory / RECORD_FILE, isolation_level=None) as other:
        other.execute("begin immediate")
        with pytest.raises(ValueError, match="locked"):
            study.resume(directory, trials=4, train=toys.toy)
        other.execute("rollback")
    assert study.resume(directory, trials=4, train=toys.toy).code == 0
    after = results.load(directory).trials
    assert len(after) == 4
    pd.testing.assert_frame_equal(after.iloc[:2], before)


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], capture_output=True
    ).returncode:
        pytest.skip("mounting a small disk takes root")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)


def test_a_full_disk_stops_the_study_and_a_resume_goes_on(
    spec: Callable[..., study.Spec], tiny_disk: Path
) -> None:
    outcome = study.run(spec(trials=6, runs_dir=str(tiny_disk), scheduler="fifo"), train=toys.bulky)
    assert outcome.code == 1
    assert "disk" in outcome.reason
    subprocess.run(["mount", "-o", "remount,size=40m", tiny_disk], check=True)
    assert study.resume(outcome.directory, train=toys.bulky).code == 0
    assert states(outcome.directory) == ["complete"] * 6


def test_no_room_for_the_directory_is_bad_input(spec: Callable[..., study.Spec], tiny_disk: Path) -> None:
    (tiny_disk / "ballast").write_bytes(bytes(1024 * 1024 - 8192))
    with pytest.raises(ValueError, match=r"room|full"):
        study.run(spec(runs_dir=str(tiny_disk)), train=toys.toy)
    assert [path.name for path in tiny_disk.iterdir()] == ["ballast"]


DRIVER = """
import sys, study
from tests.study import toys

pytestmark = pytest.mark.slow  # each test starts a Ray or kills one; tests/end_to_end is in the fast suite
spec = study.Spec(space="mixed_bits", name="s", runs_dir=sys.argv[1], trials=12, epochs=3, workers=2, sampler="random")
sys.exit(study.run(spec, train=toys.slow_toy).code)
"""


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A driver of its own, once two of its trials have ended."""
    process = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert process.stdout
    for line in process.stdout:
        if line.startswith("trials") and not line.startswith(("trials 0/", "trials 1/")):
            break
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_killed_driver_loses_nothing(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"another driver .process {driver.pid}"):
        study.resume(tmp_path / "s", train=toys.toy)
    driver.kill()
    driver.wait()
    before = results.load(tmp_path / "s").trials
    assert "running" in set(before["state"])
    assert study.resume(tmp_path / "s", train=toys.toy).code == 0
    after = results.load(tmp_path / "s").trials
    assert len(after) == 12
    assert set(after["state"]) <= {"complete", "stopped"}
    ended = before["state"] != "running"
    pd.testing.assert_frame_equal(after[: len(before)][ended], before[ended])


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    driver.send_signal(signal.SIGINT)
    out, _ = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGINT
    assert f"python -m study.resume s --runs-dir {tmp_path}" in out
    assert "Traceback" not in out
    assert not list((tmp_path / "s").glob("study.db-*"))
    assert (tmp_path / "s" / "report.html").exists()


@pytest.mark.slow
def test_ctrl_c_twice_ends_at_once(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    driver.send_signal(signal.SIGINT)
    time.sleep(0.2)
    driver.send_signal(signal.SIGINT)
    assert driver.wait(timeout=3) == 128 + signal.SIGINT
    assert study.resume(tmp_path / "s", train=toys.toy).code == 0
    assert len(states(tmp_path / "s")) == 12


@pytest.mark.slow
def test_sigterm_ends_cleanly(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    driver.terminate()
    out, _ = driver.communicate(timeout=60)
    assert driver.returncode == 128 + signal.SIGTERM
    assert "study.resume" in out


@pytest.mark.slow
def test_a_lost_ray_session_loses_nothing(driver: subprocess.Popen[str], tmp_path: Path) -> None:
    for pid in descendants(driver.pid):
        os.kill(pid, signal.SIGKILL)
    driver.communicate(timeout=150)
    before = results.load(tmp_path / "s").trials
    assert study.resume(tmp_path / "s", train=toys.toy).code == 0
    after = results.load(tmp_path / "s").trials
    assert len(after) == 12
    ended = before["state"].isin(["complete", "stopped"])
    pd.testing.assert_frame_equal(after[: len(before)][ended], before[ended])


@pytest.mark.slow
def test_no_process_outlives_a_killed_driver_for_long(driver: subprocess.Popen[str]) -> None:
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
