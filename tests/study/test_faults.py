"""What a machine does to a study: full disks, locks, lost memory, damaged files, a clock that jumps. A real Ray."""

import itertools
import subprocess
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

import results
import study
import trainables
from study.execution import searcher
from study.execution.batch import RETRIES
from study.store import database, record
from study.store.record import Record
from study_common.layout import INIT_DIR, RESULT
from tests.study import toys
from tests.study.conftest import start_ray

pytestmark = pytest.mark.slow

SpecOf = Callable[..., study.Spec]


def states(outcome: study.Outcome) -> list[str]:
    return results.load(outcome.directory).trials["state"].tolist()


def test_a_worker_that_takes_all_memory_is_killed_and_then_failed(spec_of: SpecOf) -> None:
    """In a Ray of its own, which allows 2 GB more than what is taken now; so it comes before `local_ray`."""
    fields = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    kilobytes = {name: int(value) for name, value, *_ in fields}
    share = 1 - (kilobytes["MemAvailable:"] - 2e6) / kilobytes["MemTotal:"]
    with start_ray(memory_usage_threshold=share, memory_monitor_refresh_ms=100):
        spec = spec_of(trials=2, workers=1, scheduler="fifo")
        outcome = study.run_study(spec, train=partial(toys.greedy, greedy="1"))
        spec = spec_of(name="float", trials=2, workers=1, init="float")
        stopped = study.run_study(spec, train=partial(toys.greedy, greedy=INIT_DIR))
    assert stopped.code == 1
    assert f"the float model failed: its worker died {RETRIES + 1} times" in stopped.reason
    frame = results.load(outcome.directory).trials.set_index("number")
    assert frame["state"].tolist() == ["complete", "failed"]
    assert f"died {RETRIES + 1} times" in frame.loc[1, "error"]
    assert "memory" in frame.loc[1, "error"]


@pytest.mark.usefixtures("local_ray")
def test_a_full_disk_at_a_checkpoint_stops_the_study(spec_of: SpecOf, small_disk: Path) -> None:
    outcome = study.run_study(spec_of(trials=6, runs_dir=str(small_disk), scheduler="fifo"), train=toys.bulky)
    assert (outcome.code, "disk is full" in outcome.reason) == (1, True)
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    assert study.resume_study(outcome.directory, train=toys.bulky).code == 0
    assert states(outcome) == ["complete"] * 6


@pytest.mark.usefixtures("local_ray")
def test_a_full_disk_under_the_record_stops_the_study(spec_of: SpecOf, small_disk: Path) -> None:
    given = spec_of(trials=40, storage=f"sqlite:///{small_disk}/record.db", scheduler="fifo")
    outcome = study.run_study(given, train=toys.toy)
    assert (outcome.code, "record" in outcome.reason, "full" in outcome.reason) == (1, True, True)
    subprocess.run(["mount", "-o", "remount,size=40m", small_disk], check=True)
    assert study.resume_study(outcome.directory, train=toys.toy).code == 0
    assert states(outcome) == ["complete"] * 40


@pytest.mark.usefixtures("local_ray")
def test_a_record_that_another_process_locks_stops_the_study(
    spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    outcome = study.run_study(spec_of(trials=6, scheduler="fifo"), train=toys.locking)
    assert (outcome.code, "locked" in outcome.reason) == (1, True)
    assert study.resume_study(outcome.directory, train=toys.toy).code == 0
    assert states(outcome) == ["complete"] * 6


@pytest.mark.usefixtures("local_ray")
def test_a_damaged_checkpoint_is_seen_and_the_one_before_it_used(spec_of: SpecOf, stripes: Path) -> None:
    images = {"dataset": "folder", "data_dir": str(stripes), "fixed": {"image_size": 16, "batch_size": 16}}
    outcome = study.run_study(spec_of(trials=2, epochs=4, scheduler="fifo", **images), train=toys.damaging)
    assert states(outcome) == ["complete"] * 2
    request = study.Request.read(outcome.directory)
    with Record.open(database.url_in(outcome.directory), request.name, request.objectives) as record:
        for trial in record.trials(request.epochs):
            unharmed = list(trainables.epochs(request.config(trial.params)))
            assert trial.user_attrs[RESULT]["metrics"] == unharmed[-1].metrics
            log = (outcome.directory / "trials" / str(trial.number) / "log.txt").read_text()
            assert "falling back" in log


@pytest.mark.usefixtures("local_ray")
def test_a_clock_that_jumps_changes_nothing(spec_of: SpecOf, monkeypatch: pytest.MonkeyPatch) -> None:
    real, jumps = time.time, itertools.cycle((0.0, 1e8, -1e8))
    monkeypatch.setattr(time, "time", lambda: real() + next(jumps))
    stamps = itertools.cycle(f"20{year}-11-01T00:00:00.000+00:00" for year in (26, 29, 23))
    for module in (record, searcher):
        monkeypatch.setattr(module, "now", lambda: next(stamps))
    outcome = study.run_study(spec_of(trials=6, scheduler="fifo", time_budget_s=600.0), train=toys.toy)
    assert (outcome.code, outcome.reason) == (0, "")
    assert states(outcome) == ["complete"] * 6
    told = results.load(outcome.directory)
    assert (told.spans["finished"] >= told.spans["started"]).all()
    assert (told.intervals["ended"] >= told.intervals["started"]).all()
    assert told.spans["started"].dt.year.nunique() > 1, "it did jump"
