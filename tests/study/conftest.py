"""Small requests, a local Ray and a small disk for the tests of this package."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import ray

from study.execution import driver
from study.planning.plan import plan
from study.planning.spec import Spec
from study.store import database
from study.store import directory as directories
from study.store.record import Record
from study.store.request import Request
from study_common.layout import LOCK_FILE, RECORD_FILE
from tests.conftest import Command
from tests.study import toys
from tests.trainables.conftest import stripes as stripes


@pytest.fixture(autouse=True, scope="session")
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what is remembered of records elsewhere out of the home of whoever runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., Request]:
    """Return a function that plans a study of the mixed bits space, under a directory of this test."""

    def make(**given: object) -> Request:
        return plan(Spec(**{"space": "mixed_bits", "runs_dir": str(tmp_path), "epochs": 9, **given}))  # type: ignore[arg-type]

    return make


@pytest.fixture
def spec_of(tmp_path: Path) -> Callable[..., Spec]:
    """Return a function that makes a `Spec`: the study `s` of 3 epochs under a directory of this test."""
    given = {"space": "mixed_bits", "name": "s", "runs_dir": str(tmp_path), "epochs": 3}
    return lambda **more: Spec(**{**given, **more})  # type: ignore[arg-type]


@contextmanager
def start_ray(**system: object) -> Iterator[None]:
    """Start a Ray of two CPUs and a GPU in name only; its workers know the toys. `system` are settings of its own."""
    ray.cloudpickle.register_pickle_by_value(toys)
    ray.init(
        "local", num_cpus=2, num_gpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        _system_config=system,
    )  # fmt: skip
    try:
        yield
    finally:
        ray.shutdown()
        ray.cloudpickle.unregister_pickle_by_value(toys)


@pytest.fixture(scope="module")
def local_ray(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """One Ray for all studies of a module but those whose driver is a process of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        with start_ray(metrics_report_interval_ms=500):
            yield


def begin(request: Request, runs: Path) -> None:
    """Begin a study of which nothing is trained yet."""
    directory = directories.create(request, str(runs))
    with Record.open(database.url_in(directory), request.name, request.objectives, new=True):
        pass


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong has to be found before Ray starts."""
    monkeypatch.setattr(driver, "connected", lambda *_: pytest.fail("it was not found"))


Refusal = Callable[[Path], str]
"""Resumes the study of a directory with other options, and returns the one line that refuses; nothing is written."""


@pytest.fixture
def refusal(command: Command) -> Refusal:
    """Return a function that resumes a study, in which something has to be wrong."""

    def resume(directory: Path) -> str:
        before = contents(directory)
        words = ("--trials", "3", "--runs-dir", str(directory.parent))
        code, out, error = command("study.resume", directory.name, *words)
        assert (code, out, error.count("\n")) == (2, "", 1), error
        assert contents(directory) == before
        return error

    return resume


def contents(directory: Path) -> dict[Path, bytes | None]:
    """Return the files of a study, without its record and its lock; None stands for what is no file."""
    kept = (path for path in directory.rglob("*") if not path.name.startswith((RECORD_FILE, LOCK_FILE)))
    return {path: path.read_bytes() if path.is_file() else None for path in kept}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 1 MB."""
    mount = tmp_path / "disk"
    mount.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", mount], capture_output=True)
    if made.returncode:
        pytest.skip("mounting a small disk takes root")
    yield mount
    subprocess.run(["umount", "-l", mount], check=True)
