"""The worker's side: what is on disk is repeated, not trained again; a fenced worker writes nothing."""

import csv
import errno
import multiprocessing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import trainables
from study.execution.worker import Job, reports, saved_epochs, train
from study_common import layout
from tests.study.toys import ToyEpoch, toy
from trainables.training import checkpoint, gallery

FLAT = trainables.Config.parse({"epochs": 4}).flat()


def job_in(directory: Path, flat: Mapping[str, Any] = FLAT, recorded: int = 0, **others: Any) -> Job:
    (directory / layout.LOCK_FILE).write_text('{"token": "ours"}')
    return Job(
        number=0,
        flat=dict(flat),
        directory=directory / "0",
        study=directory,
        token="ours",
        recorded=recorded,
        **others,
    )


def never(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    raise AssertionError("it was trained again")


def test_every_epoch_is_on_disk_before_it_is_reported(tmp_path: Path) -> None:
    for n, report in enumerate(reports(job_in(tmp_path), toy), start=1):
        assert (report.epoch, report.last, report.error) == (n, n == 4, None)
        assert [r.metrics for r in saved_epochs(tmp_path / "0", 4)][-1] == report.metrics
    assert {"config.toml", "curve.csv", "log.txt"} <= {path.name for path in (tmp_path / "0").iterdir()}


@pytest.mark.parametrize("recorded", range(5))
@pytest.mark.parametrize("saved", range(5))
def test_a_run_taken_up_again_reports_what_the_record_lacks(
    saved: int, recorded: int, tmp_path: Path
) -> None:
    whole = list(reports(job_in(tmp_path / "whole"), toy)) if (tmp_path / "whole").mkdir() is None else []
    first = reports(job_in(tmp_path), toy)
    for _ in range(saved):
        next(first)
    first.close()
    known = min(saved, recorded)
    again = list(reports(job_in(tmp_path, recorded=known), never if saved == 4 else toy))
    assert [r.metrics for r in again] == [r.metrics for r in whole[known:]]


@pytest.mark.parametrize("harm", ["cut", "flipped", "unsealed"])
def test_a_curve_that_was_altered_is_not_believed(harm: str, tmp_path: Path) -> None:
    whole = [report.metrics for report in reports(job_in(tmp_path), toy)]
    curve = tmp_path / "0" / "curve.csv"
    if harm == "cut":
        curve.write_text(curve.read_text()[:-20])
    elif harm == "flipped":
        curve.write_text(curve.read_text().replace("0.", "1.", 1))
    else:
        (tmp_path / "0" / layout.DIGESTS_FILE).unlink()
    assert saved_epochs(tmp_path / "0", 4) == []
    assert [report.metrics for report in reports(job_in(tmp_path), toy)] == whole, "it was trained again"


def test_a_last_epoch_that_was_half_saved_is_trained_again(tmp_path: Path) -> None:
    list(reports(job_in(tmp_path), toy))
    (tmp_path / "0" / layout.RESUME_FILE).touch()
    assert [report.epoch for report in saved_epochs(tmp_path / "0", 4)] == [1, 2, 3]


def test_an_exception_is_the_last_report_and_in_the_log(tmp_path: Path) -> None:
    (report,) = reports(job_in(tmp_path), never)
    assert report.error == "AssertionError: it was trained again"
    assert "Traceback" in (tmp_path / "0" / "log.txt").read_text()


def fenced(directory: Path) -> None:
    run = reports(job_in(directory), toy)
    next(run)
    (directory / layout.LOCK_FILE).write_text('{"token": "theirs"}')
    next(run)


def test_a_worker_of_another_driver_stops_before_it_writes(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=fenced, args=(tmp_path,))
    process.start()
    process.join(60)
    assert process.exitcode == 1
    assert [report.epoch for report in saved_epochs(tmp_path / "0", 4)] == [1]


@pytest.fixture
def real(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A run on real images that takes a tenth of a second an epoch."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    given = {"dataset": "folder", "data_dir": str(stripes), "image_size": 16, "batch_size": 16, "epochs": 4}
    return trainables.Config.parse(given | {"rungs": (1, 4), "bits": 4}).flat()


def test_a_damaged_curve_is_read_from_the_resume_file(real: dict[str, Any], tmp_path: Path) -> None:
    """One damaged byte used to fail the trial."""
    first = reports(job_in(tmp_path, real), train)
    begun = [next(first).metrics, next(first).metrics]
    first.close()
    damaged = tmp_path / "0" / "curve.csv"
    damaged.write_bytes(damaged.read_bytes().replace(b"1", b"x", 1))
    again = list(reports(job_in(tmp_path, real), train))
    assert [report.metrics for report in again[:2]] == begun
    assert [(report.epoch, report.is_new, report.error) for report in again] == [
        (1, False, None), (2, False, None), (3, True, None), (4, True, None),
    ]  # fmt: skip


def curve(directory: Path) -> list[dict[str, str]]:
    with (directory / "curve.csv").open() as file:
        return [
            {name: value for name, value in row.items() if name != "seconds"} for row in csv.DictReader(file)
        ]


@pytest.mark.parametrize("harm", ["none", "truncated", "flipped", "missing", "all missing"])
def test_real_training_goes_on_exactly_from_what_is_whole(
    harm: str, real: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    unbroken = [report.metrics for report in reports(job_in(tmp_path / "a", real), train)]
    first = reports(job_in(tmp_path / "b", real), train)
    begun = [next(first).metrics, next(first).metrics, next(first).metrics]
    first.close()
    state = tmp_path / "b" / "0" / layout.RESUME_FILE
    content = bytearray(state.read_bytes())
    if harm == "truncated":
        state.write_bytes(content[: len(content) // 2])
    elif harm == "flipped":
        content[-100] ^= 1
        state.write_bytes(content)
    elif harm == "missing":
        state.unlink()
    elif harm == "all missing":
        for name in (layout.RESUME_FILE, layout.PREVIOUS_FILE, layout.CHECKPOINT_FILE):
            (state.parent / name).unlink()
    rest = [report.metrics for report in reports(job_in(tmp_path / "b", real, recorded=3), train)]
    assert begun + rest == unbroken
    assert curve(tmp_path / "a" / "0") == curve(tmp_path / "b" / "0")
    assert (tmp_path / "b" / "0" / layout.CHECKPOINT_FILE).exists()
    assert ("falling back" in (tmp_path / "b" / "0" / "log.txt").read_text()) == (
        harm in ("truncated", "flipped")
    )


def test_a_machine_without_the_disk_of_the_study_halts_it(tmp_path: Path) -> None:
    """Rather than fail one trial after another, or train where nobody looks."""
    job = replace(job_in(tmp_path, {}), study=tmp_path / "elsewhere")
    (only,) = reports(job, train)
    assert only.halts
    assert "use a --runs-dir that all machines share" in str(only.error)
    assert not job.directory.exists()


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_last_epoch_without_its_pictures_is_trained_again(
    epochs: int, real: dict[str, Any], tmp_path: Path
) -> None:
    """As after a kill in the last save, of which there may be no resume file."""
    job = job_in(tmp_path, real | {"epochs": epochs, "rungs": (epochs,)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gallery, "write", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
        *_, last = reports(job, train)
    assert last.halts
    assert "disk is full" in str(last.error)
    *_, last = reports(job, train)
    assert (last.epoch, last.error) == (epochs, None)
    assert (tmp_path / "0" / layout.SALIENCY_FILE).exists()


def other_weights(model: Path) -> None:
    checkpoint.write(model, {"weight": torch.ones(1)}, {})


def damage(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-1])


@pytest.mark.parametrize("harm", [other_weights, damage, Path.unlink], ids=lambda harm: harm.__name__)
@pytest.mark.parametrize("done", [0, 2])
def test_a_start_model_that_is_another_by_now_halts_the_study(
    done: int, harm: Callable[[Path], None], tmp_path: Path
) -> None:
    """Trials went on from the other weights, into the same front."""
    model = tmp_path / layout.CHECKPOINT_FILE
    checkpoint.write(model, {"weight": torch.zeros(1)}, {})
    job = replace(job_in(tmp_path, {**FLAT, "init": str(model)}), weights=checkpoint.digest_of_weights(model))
    run = reports(job, toy)
    for _ in range(done):
        assert next(run).error is None
    run.close()
    harm(model)
    *_, last = reports(replace(job, recorded=done), never)
    assert last.halts
    assert str(model) in str(last.error)
    assert str(last.error).endswith("or remove its folder, so that the study trains this model again")


def test_a_model_that_is_gone_halts_the_study(tmp_path: Path) -> None:
    """The configuration is not at fault: another trial would end in the same way."""
    flat = {**FLAT, "model": "no_longer_here:make"}
    (report,) = reports(job_in(tmp_path, flat), train)
    assert report.halts
    assert report.error.startswith("there is no module no_longer_here on")
