"""A list of runs on a real Ray: each is trained once, in whatever order they end and whatever becomes of a worker."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import trainables
from study.execution import patience
from study.execution.batch import RETRIES, InterruptedBatchError, run_all
from study.execution.patience import Patience
from study.execution.worker import Job, Report
from study_common import layout
from tests.study import toys

pytestmark = pytest.mark.usefixtures("local_ray")

FLAT = trainables.Config.parse({"epochs": 3, "bits": 4}).flat()


@pytest.fixture
def job_of(tmp_path: Path) -> Callable[[int], Job]:
    """Return a function that makes the job of a number, in a study of this test."""
    (tmp_path / layout.LOCK_FILE).write_text('{"token": "ours"}')

    def make(number: int) -> Job:
        folder = tmp_path / layout.TRIALS_DIR / str(number)
        return Job(number=number, flat=FLAT, directory=folder, study=tmp_path, token="ours")

    return make


def never() -> bool:
    return False


def test_last_reports_come_in_the_order_of_the_jobs(job_of: Callable[[int], Job]) -> None:
    jobs = [replace(job_of(n), flat=FLAT | {"epochs": epochs}) for n, epochs in enumerate((4, 1, 2))]
    told: list[tuple[int, int]] = []
    last = run_all(
        jobs,
        toys.toy,
        0.0,
        never,
        Patience(20.0),
        lambda job, report: told.append((job.number, report.epoch)),
    )
    assert [(report.epoch, report.error) for report in last] == [(4, None), (1, None), (2, None)]
    assert [report.metrics for report in last] == [
        toys.metrics_of(job.flat, job.flat["epochs"]) for job in jobs
    ]
    assert sorted(told) == [(0, 1), (0, 2), (0, 3), (0, 4), (1, 1), (2, 1), (2, 2)]


def test_a_finished_run_is_not_trained_again(job_of: Callable[[int], Job]) -> None:
    (first,) = run_all([job_of(0)], toys.toy, 0.0, never, Patience(20.0))
    (again,) = run_all([job_of(0)], toys.toy, 0.0, never, Patience(20.0))
    assert (first.is_new, again.is_new) == (True, False)
    assert again.metrics == first.metrics


def test_an_error_ends_its_own_run_only(job_of: Callable[[int], Job]) -> None:
    """Trial 1 raises; the worker of 3 dies once and is resumed, that of 4 dies each time."""
    ended: list[int] = []

    def reported(job: Job, report: Report) -> None:
        if report.last or report.error is not None:
            ended.append(job.number)

    jobs = [job_of(n) for n in (0, 1, 3, 4)]
    last = run_all(jobs, toys.troubled, 0.0, never, Patience(20.0), reported)
    assert last[0].error is None
    assert last[1].error == "RuntimeError: this trial raises"
    assert (last[2].error, last[2].epoch) == (None, 3)
    assert str(last[3].error).startswith(f"its worker died {RETRIES + 1} times; last: ")
    assert "\n" not in str(last[3].error)
    assert sorted(ended) == [0, 1, 3, 4], "each once, however often its worker died"


def test_what_a_run_says_at_its_start_is_in_its_last_report(job_of: Callable[[int], Job]) -> None:
    run_all([job_of(0)], toys.toy, 0.0, never, Patience(20.0))
    (other,) = run_all([replace(job_of(0), flat=FLAT | {"seed": 5})], toys.toy, 0.0, never, Patience(20.0))
    assert "held another configuration's run" in other.notice
    assert other.epoch == 3


def test_a_batch_that_is_stopped_continues_when_it_is_run_again(job_of: Callable[[int], Job]) -> None:
    jobs = [job_of(0), job_of(1)]
    curve = jobs[0].directory / layout.CURVE_FILE
    slow = partial(toys.toy, pause=1.0)
    with pytest.raises(InterruptedBatchError):
        run_all(jobs, slow, 0.0, curve.exists, Patience(20.0))
    kept = curve.read_text()
    last = run_all(jobs, toys.toy, 0.0, never, Patience(20.0))
    assert [report.epoch for report in last] == [3, 3]
    assert curve.read_text().startswith(kept), "what was trained is not trained again"


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_frozen_worker_is_killed_and_its_run_continued(
    epoch: int, job_of: Callable[[int], Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first epoch, of which nothing is known, has an allowance of its own; both used to hold a batch for ever."""
    monkeypatch.setattr(patience, "LEAST_FIRST_S" if epoch == 1 else "LEAST_S", 3.0)
    told: list[str] = []
    last = run_all(
        [job_of(1)], partial(toys.freezing, at=epoch), 0.0, never, Patience(1e-9), tell=told.append
    )
    assert [(report.epoch, report.error) for report in last] == [(3, None)]
    assert told == ["1: no progress for 3 s (--trial-timeout); its worker is killed"]
