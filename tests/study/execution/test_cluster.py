"""Studies on a Ray of several nodes, started as docs/cluster.md says. Here all of them are this machine.

A node without the disk of the studies has a folder of its own in its place.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

import results
from study.store import database
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.layout import RESULT
from tests.study import drive
from trainables.training.evaluation import validation_metrics

pytestmark = pytest.mark.slow

RAY = str(Path(sys.executable).with_name("ray"))
PIPED = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}


@contextmanager
def node(*options: str, before: tuple[str, ...] = ()) -> Iterator[tuple[psutil.Process, str]]:
    """Run `ray start` with one CPU and files of its own; yield its process and what it said."""
    folder = tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp", ignore_cleanup_errors=True)
    command = [*before, RAY, "start", "--num-cpus=1", "--block", f"--temp-dir={folder.name}", *options]
    with folder, subprocess.Popen(command, **PIPED) as process:  # type: ignore[call-overload]
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


def without(folder: Path) -> tuple[str, ...]:
    """Return the words before a command that lets it see an empty folder in the place of this one."""
    hidden = ("unshare", "--mount", "sh", "-c", f'mount -t tmpfs none {folder} && exec "$@"', "sh")
    if subprocess.run([*hidden, "true"], capture_output=True).returncode:
        pytest.skip("a disk of its own takes root")
    return hidden


@pytest.mark.parametrize("init", ["", "shared"])
def test_a_machine_without_the_disk_of_the_study_trains_as_well(init: str, head: str, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    command = drive.command(runs, trials=8, pause=0.3, address=head, init=init)
    with (
        node(f"--address={head}", before=without(runs)) as (there, _),
        subprocess.Popen(command, cwd=drive.ROOT, **PIPED) as driver,  # type: ignore[call-overload]
    ):
        trained = pids_until(lambda: driver.poll() is not None, there)
        said = driver.stdout.read()
    assert driver.returncode == 0, said
    assert set(results.load(runs / "s").trials["state"]) <= {"complete", "stopped"}
    assert workers(runs / "s") & trained, "trials were trained there"
    assert workers(runs / "s") - trained, "and here"


def pids_until(ended: Callable[[], bool], node: psutil.Process) -> set[int]:
    """Return the processes that a node has, at any moment until then."""
    seen: set[int] = set()
    deadline = time.monotonic() + 600
    while not ended():
        assert time.monotonic() < deadline
        seen |= {process.pid for process in node.children(recursive=True)}
        time.sleep(1)
    return seen


def workers(directory: Path) -> set[int]:
    """Return the processes that trained for the study."""
    request = Request.read(directory)
    with Record.open(database.url_in(directory), request.name, request.objectives) as record:
        known = [trial.user_attrs[RESULT] for trial in record.trials(request.epochs)]
    ran = [interval["worker"] for one in known for interval in one["intervals"] if interval["worker"]]
    return {int(worker.rpartition(":")[2]) for worker in ran}


def complete(directory: Path) -> int:
    """Return how many trials are complete so far."""
    try:
        return int((results.load(directory).trials["state"] == "complete").sum())
    except ValueError:  # there is no record yet
        return 0


def shell(*words: object) -> str:
    """Run a command of this project to its end, and return what it said."""
    ran = subprocess.run([sys.executable, "-m", *map(str, words)], cwd=drive.ROOT, timeout=400, **PIPED)  # type: ignore[call-overload]
    assert ran.returncode == 0, ran.stdout
    return str(ran.stdout)


PORT = 28266
TRIALS = 24


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("disk", ["one disk", "no disk"])
@pytest.mark.parametrize("size", [2, 4])
def test_a_submitted_study_loses_nothing_when_a_node_dies_and_another_joins(
    size: int, disk: str, stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = tmp_path / "runs"
    runs.mkdir()
    before = without(runs) if disk == "no disk" else ()
    make_token(tmp_path, monkeypatch)
    given = f"--space mixed_bits --dataset folder --data-dir {stripes} --set image_size=16 --set batch_size=2"
    more = f"--name s --trials {TRIALS} --epochs 4 --scheduler fifo --runs-dir {runs}"
    with ExitStack() as nodes:
        _, said = nodes.enter_context(node("--head", "--port=0", f"--dashboard-port={PORT}"))
        address = re.search(r"ray start --address='(\S+)'", said)
        assert address, said
        there = [nodes.enter_context(node(f"--address={address[1]}", before=before)) for _ in range(size - 1)]
        dashboard = f"http://127.0.0.1:{PORT}"
        launched = shell("study.launch", *given.split(), *more.split(), "--submit", dashboard)
        job = re.search(r"job (\S+) runs at", launched)
        assert job, launched

        def ask(verb: str) -> str:
            asked = [RAY, "job", verb, "--address", dashboard, job[1]]
            return str(subprocess.run(asked, timeout=120, **PIPED).stdout)  # type: ignore[call-overload]

        pids_until(lambda: complete(runs / "s") >= 2, there[0][0])
        joined, _ = nodes.enter_context(node(f"--address={address[1]}", before=before))
        kill(there[0][0])
        trained = pids_until((runs / "s" / layout.REPORT_FILE).exists, joined)
        deadline = time.monotonic() + 120
        while "succeeded" not in ask("status").lower():
            assert time.monotonic() < deadline, ask("logs")
        if disk == "no disk":
            shell("study.confirm", "s", "--top", 1, "--seeds", 2, "--runs-dir", runs, "--address", address[1])
    trials = results.load(runs / "s").trials
    assert len(trials) == TRIALS
    assert set(trials["state"]) == {"complete"}
    assert workers(runs / "s") & trained, "the node that joined has trained"
    told = [path.read_text() for path in runs.glob("s/trials/*/log.txt")]
    assert sum("resuming it" in log for log in told) == 1
    for number in range(TRIALS):
        checkpoint = runs / "s" / "trials" / str(number) / layout.CHECKPOINT_FILE
        assert validation_metrics(checkpoint)["accuracy"] == trials["metrics.accuracy"][number]
    assert "report.html" in shell("results.report", "s", "--runs-dir", runs)
