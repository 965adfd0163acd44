"""A worker that does not see the study leaves the same files as one that does.

Here the worker is told so, since it sees the same disk as the keeper; `test_cluster.py` has machines that do not.
"""

import hashlib
import multiprocessing
import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

import trainables
from study.execution import keeper, width_table, worker
from study.execution.batch import Failed
from study.execution.worker import Job, reports, saved_epochs, train
from study.store.inputs import Inputs
from study_common import layout
from study_common.digests import check
from tests.study.conftest import start_ray
from trainables.training import checkpoint

EPOCHS = 3


@pytest.fixture(scope="module", autouse=True)
def _keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setattr("tempfile.tempdir", str(tmp_path_factory.mktemp("temporary")))
        with start_ray():
            kept = keeper.start()
            yield
            del kept


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand for a machine without the disk of the study."""
    monkeypatch.setattr(worker, "is_current", lambda study, token: False)


@pytest.fixture
def flat(stripes: Path) -> dict[str, Any]:
    given = {"dataset": "folder", "data_dir": str(stripes), "image_size": 16, "batch_size": 16, "bits": 4}
    return trainables.Config.parse(given | {"epochs": EPOCHS, "rungs": (1, EPOCHS)}).flat()


def job_in(study: Path, flat: dict[str, Any]) -> Job:
    study.mkdir(exist_ok=True)
    (study / layout.LOCK_FILE).write_text('{"token": "ours"}')
    return Job(number=0, flat=flat, directory=study / "trials" / "0", study=study, token="ours")


def contents(folder: Path) -> dict[str, str]:
    """Digests of the files of a run that do not have the time in them."""
    timed = (layout.LOG_FILE, layout.DIGESTS_FILE, layout.CURVE_FILE)
    weights = (
        layout.CHECKPOINT_FILE,
        layout.RESUME_FILE,
        layout.PREVIOUS_FILE,
    )  # with seconds in the description
    return {
        file.name: "" if file.name in (*timed, *weights) else hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
    }


def metrics(report: worker.Report) -> dict[str, float]:
    return {name: value for name, value in report.metrics.items() if "seconds" not in name}


def temporary() -> list[Path]:
    """The temporary folders of workers."""
    return list(Path(tempfile.gettempdir()).glob(f"{keeper.PREFIX}*"))


def test_the_files_are_those_of_a_worker_that_sees_the_study(
    flat: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each epoch, and by another worker each time: every second one sees the study."""
    here, there = job_in(tmp_path / "here", flat), job_in(tmp_path / "there", flat)
    expected = reports(here, train)
    for number in range(1, EPOCHS + 1):
        wanted = next(expected)
        with monkeypatch.context() as patch:
            if number != 2:
                patch.setattr(worker, "is_current", lambda study, token: False)
            run = reports(replace(there, recorded=number - 1), train)
            found = next(run)
            assert [report.epoch for report in saved_epochs(there.directory, EPOCHS)] == [
                *range(1, number + 1)
            ]
            run.close()
        assert (found.epoch, found.error, found.is_new) == (number, None, True)
        assert metrics(found) == metrics(wanted)
        assert contents(there.directory) == contents(here.directory)
        for name in (layout.CURVE_FILE, layout.CONFIG_FILE):
            check(there.directory / name)
    assert not temporary()


def test_an_error_is_in_the_log_of_the_run(away: None, flat: dict[str, Any], tmp_path: Path) -> None:
    def failing(flat: Any, directory: Path) -> Iterator[trainables.Epoch]:
        raise RuntimeError("no such image")
        yield

    job = job_in(tmp_path, flat)
    (report,) = reports(job, failing)
    assert report.error == "RuntimeError: no such image"
    assert "no such image" in (job.directory / layout.LOG_FILE).read_text()


def test_a_link_is_refused_with_the_sentence_of_the_keeper(
    away: None, flat: dict[str, Any], tmp_path: Path
) -> None:
    job = job_in(tmp_path / "s", flat)
    (tmp_path / "s" / "trials").symlink_to(tmp_path)
    (report,) = reports(job, train)
    assert report.halts
    assert (
        report.error
        == f"{tmp_path}/s/trials is a link; copy the study with its files in it, for example with cp -rL"
    )


def test_another_configuration_is_set_aside_there(away: None, flat: dict[str, Any], tmp_path: Path) -> None:
    run = reports(job_in(tmp_path, flat), train)
    next(run)
    run.close()
    again = reports(job_in(tmp_path, flat | {"seed": 1}), train)
    assert "held another configuration's run; it is now 0.aside-1" in next(again).notice
    again.close()
    assert {path.name for path in (tmp_path / "trials").iterdir()} == {"0", "0.aside-1"}


def test_nothing_is_written_for_a_driver_that_was_replaced(flat: dict[str, Any], tmp_path: Path) -> None:
    job = job_in(tmp_path, flat)
    keeper.ask("begin", job.directory, job.study, flat, "")
    before = contents(job.directory)
    (tmp_path / layout.LOCK_FILE).write_text('{"token": "theirs"}')
    assert not keeper.ask("write", job.directory, job.study, "ours", {layout.CURVE_FILE: b"epoch"}, [], [])
    assert contents(job.directory) == before


def test_trials_and_estimates_start_from_a_model_that_is_not_here(
    flat: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper sees a file that this process cannot read."""
    model = tmp_path / layout.INIT_DIR / layout.CHECKPOINT_FILE
    model.parent.mkdir()
    checkpoint.write(model, {"weight": torch.zeros(3)}, {})
    weights = checkpoint.digest_of_weights(model)
    with keeper.with_start({"init": str(model)}, tmp_path) as started:
        assert Path(started["init"]).read_bytes() == model.read_bytes()
        assert not Path(started["init"]).is_relative_to(tmp_path)
    with keeper.with_start({"init": "/elsewhere/model"}, tmp_path) as started:
        assert started == {"init": "/elsewhere/model"}

    def size(flat: Any) -> dict[str, float]:
        assert flat["init"] != str(model)
        return {"size": len(checkpoint.read(Path(flat["init"]))[0]["weight"]) + flat["bits"]}

    flats = [{"init": str(model), "bits": bits} for bits in (2, 4)]
    several = partial(
        width_table._several,
        flats, size, tmp_path, "of another driver", Inputs.of(trainables.Config()),
    )  # fmt: skip
    found = list(several(weights))
    assert found == [[{"size": 5}, {"size": 7}]]
    (failed,) = several("others")
    assert isinstance(failed, Failed)
    assert failed.reason.startswith(
        f"{model} has other weights than those that the trials so far started from"
    )
    model.unlink()
    (failed,) = several(weights)
    assert isinstance(failed, Failed)
    assert str(model) in failed.reason


def left_behind() -> None:
    with keeper.temporary_folder("0") as folder:
        old = time.time() - 2 * keeper.NEW_S
        os.utime(folder.parent, (old, old))
        os._exit(1)


def test_the_folder_of_a_worker_that_was_killed_is_removed_by_the_next_and_no_other() -> None:
    process = multiprocessing.get_context("fork").Process(target=left_behind)
    process.start()
    process.join(60)
    assert len(temporary()) == 1
    with keeper.temporary_folder("1") as mine:
        assert temporary() == [mine.parent]
        old = time.time() - 2 * keeper.NEW_S
        os.utime(mine.parent, (old, old))
        with keeper.temporary_folder("2"):
            assert mine.is_dir()
    assert not temporary()


def test_a_worker_of_another_version_halts_the_study(flat: dict[str, Any], tmp_path: Path) -> None:
    job = replace(job_in(tmp_path, flat), code="of another version")
    run = reports(job, train)
    assert next(run).error is None, "the driver's machine is not compared with itself"
    run.close()
    (report,) = reports(replace(job, host="head"), train)
    assert report.halts
    assert report.error == (
        f"{os.uname().nodename} has another version of this package than head; install the same on both"
    )


def test_a_keeper_that_cannot_be_asked_is_not_the_fault_of_the_trial(
    away: None, flat: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last test of this module: the keeper is gone afterwards."""
    run = reports(job_in(tmp_path, flat), train)
    next(run)
    ray.kill(ray.get_actor(keeper.NAME))
    with pytest.raises(ray.exceptions.RayError):
        next(run)
