"""The command that confirms: what it shows of confirmed trials, what it refuses, and that it can be stopped."""

import contextlib
import math
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from study.execution import confirmation
from study.execution.batch import InterruptedBatchError
from study.execution.confirmation import confirm
from study.execution.interrupt import Interrupt
from study.execution.patience import Patience
from study.execution.searcher import Searcher
from study.execution.worker import Report
from study.store import database
from study.store import directory as directories
from study.store.record import Record
from study.store.request import Request
from study_common.errors import UserError
from study_common.layout import (
    CHECKPOINT_FILE,
    CONFIRMATIONS,
    RECORD_FILE,
    REPORT_FILE,
    TEST_READS,
    Confirmation,
    confirmation_digest,
)
from tests.conftest import Command
from tests.study.toys import metrics_of
from trainables.training import checkpoint


@pytest.fixture(params=["in the directory", "elsewhere"])
def runs(request_of: Callable[..., Request], tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A directory with a study of one trial, complete and confirmed with one seed; its record there or elsewhere."""
    kept = f"sqlite:///{tmp_path}/elsewhere.db" if request.param == "elsewhere" else ""
    asked = request_of(name="s", trials=1, storage=kept)
    directory = directories.create(asked, str(tmp_path))
    with Record.open(kept or database.url_in(directory), "s", asked.objectives, new=True) as record:
        searcher = Searcher(asked, record, directory, token="")
        flat = searcher.suggest("a")["job"].flat  # type: ignore[index]
        metrics = metrics_of(flat, 9)
        searcher.on_trial_complete("a", {"report": Report(epoch=9, seconds=1.0, metrics=metrics, last=True)})
        directories.write_results(asked, directory, record)
        known = Confirmation(trial=0, seed=1, refit=False, metrics=metrics, time="2026-05-04", digest="")
        known["digest"] = confirmation_digest(known)
        record.set_attribute(CONFIRMATIONS, [known])
    return tmp_path


def test_the_table_is_whole_and_one_seed_has_no_spread(command: Command, runs: Path) -> None:
    words = ("s", "--trials", "0", "--seeds", "1", "--runs-dir", str(runs))
    code, out, error = command("study.confirm", *words)
    assert (code, error) == (0, "")
    assert 'id="confirmed"' in (runs / "s" / REPORT_FILE).read_text()
    heading, *rows = [
        [cell.strip() for cell in line.strip("┃│").replace("┃", "│").split("│")]
        for line in out.splitlines()
        if line[0] in "┃│"
    ]
    assert heading[3:] == ["objective", "validation", "mean", "sd", "low", "high", "lucky"]
    assert [row[3] for row in rows] == ["accuracy", "flops", "faithfulness"]
    for row in rows:
        assert row[4] == row[5] != "-"
        assert row[6:9] == ["-"] * 3
    assert rows[0][4].endswith(" %")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--trials 0 --seeds 0", "--seeds is 0"),
        ("--trials 7", "trial 7 is not complete; choose of 0"),
        ("--trials x", "write numbers such as 0,3,5"),
        ("--top 0", "--top is 0"),
        ("--top 1 --trials 0", "not allowed with"),
        ("", "--trials --top is required"),
    ],
)
def test_bad_input_is_one_line(words: str, says: str, command: Command, runs: Path) -> None:
    code, out, error = command("study.confirm", "s", *words.split(), "--runs-dir", str(runs))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: ")
    assert says in error


def test_a_record_that_is_locked_is_one_line(
    command: Command, runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.5)
    kept = runs / "elsewhere.db" if (runs / "elsewhere.db").exists() else runs / "s" / RECORD_FILE
    with contextlib.closing(sqlite3.connect(kept, isolation_level=None)) as other:
        other.execute("begin immediate")
        code, _, error = command("study.confirm", "s", "--trials", "0", "--runs-dir", str(runs))
    assert (code, error.count("\n")) == (2, 1)
    assert "locked" in error


@pytest.mark.usefixtures("local_ray")
def test_a_confirmation_that_is_stopped_has_not_looked_at_the_test_split(runs: Path) -> None:
    interrupt = Interrupt(math.inf, faults=lambda: "the test says so")
    with pytest.raises(InterruptedBatchError):
        confirm(runs / "s", [0], seeds=2, interrupt=interrupt)
    assert interrupt.reason == "the test says so"
    asked = Request.read(runs / "s")
    with Record.open(directories.record_url(asked, runs / "s"), "s", asked.objectives) as record:
        assert [done["seed"] for done in record.attributes()[CONFIRMATIONS]] == [1]
        assert TEST_READS not in record.attributes()


def test_a_retraining_whose_model_is_of_another_run_is_not_measured(
    runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The test split was looked at with whatever model was in the folder."""
    asked = Request.read(runs / "s")
    start = asked.config({})
    job = confirmation._job(asked, runs / "s", "token", "0-1", start.flat())
    monkeypatch.setattr(confirmation, "run_all", lambda jobs, *_: [Report(epoch=9, last=True)] * len(jobs))
    for config, refused in ((start, False), (replace(start, seed=8), True)):
        about = {"config": config.flat(), "fingerprint": asked.data["fingerprint"]}
        job.directory.mkdir(parents=True, exist_ok=True)
        checkpoint.write(job.directory / CHECKPOINT_FILE, {"weight": torch.zeros(9)}, about)
        says = pytest.raises(UserError, match=r"0-1/checkpoint\.safetensors is of another run.*in seed")
        with says if refused else contextlib.nullcontext():
            confirmation._train([job], asked, lambda: False, Patience(1.0))
