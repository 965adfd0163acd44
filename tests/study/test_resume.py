"""What a resume may change, and what it says of other versions. No Ray gets to start."""

import math
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from study.execution import driver
from study.execution.searcher import Searcher
from study.execution.worker import Report
from study.store import database
from study.store import directory as directories
from study.store.options import LOGS
from study.store.record import Record
from study.store.request import Request
from study_common.layout import RECORD_FILE, VERSIONS
from tests.conftest import Command
from tests.study.conftest import Refusal, begin
from tests.study.toys import metrics_of
from trainables.models.catalogue import build

RequestOf = Callable[..., Request]


@pytest.fixture
def complete(request_of: RequestOf, tmp_path: Path) -> Path:
    """A complete study of one trial, with a time budget."""
    request = request_of(name="s", trials=1, time_budget_s=60.0)
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        metrics = metrics_of(searcher.suggest("a")["job"].flat, 9)  # type: ignore[index]
        searcher.on_trial_complete("a", {"report": Report(epoch=9, seconds=1.0, metrics=metrics, last=True)})
    return directory


def test_budget_workers_and_gpus_are_changed_for_good(command: Command, complete: Path) -> None:
    words = ["--time-budget", "none", "--workers", "1", "--gpus-per-trial", "0.5"]
    assert command("study.resume", "s", *words, "--runs-dir", str(complete.parent))[0] == 0
    changed = Request.read(complete)
    assert (changed.time_budget_s, changed.workers, changed.gpus_per_trial) == (math.inf, 1, 0.5)
    assert command("study.resume", "s", "--time-budget", "2h", "--runs-dir", str(complete.parent))[0] == 0
    assert Request.read(complete) == replace(changed, time_budget_s=7200.0)


def test_the_tool_of_the_log_is_changed_for_good_and_has_to_be_installed(
    command: Command, complete: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(LOGS, "wandb", "a_module_that_nobody_has")
    words = ["study.resume", "s", "--runs-dir", str(complete.parent), "--log"]
    code, _, said = command(*words, "wandb")
    assert code == 2
    assert said.endswith("install it with pip install 'sgt-pact-study[wandb]'\n")
    assert not Request.read(complete).log
    for tool, kept in (("tensorboard", "tensorboard"), ("none", "")):
        assert command(*words, tool)[0] == 0
        assert Request.read(complete).log == kept


@pytest.mark.parametrize(
    "change",
    ["replace(value_json, '{', '{\x07')", "replace(value_json, '\"epochs\": 9', '\"epochs\": 8')"],
    ids=["no JSON", "another value"],
)
def test_a_damaged_record_is_not_continued(change: str, command: Command, complete: Path) -> None:
    """It ended in a traceback, or the search went on from the wrong value."""
    with closing(sqlite3.connect(complete / RECORD_FILE)) as record:
        assert record.execute(
            f"UPDATE trial_user_attributes SET value_json = {change} WHERE key = 'result'"
        ).rowcount
        record.commit()
    before = (complete / RECORD_FILE).read_bytes()
    code, out, error = command("study.resume", "s", "--trials", "3", "--runs-dir", str(complete.parent))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "cannot be read as a record" in error
    assert (complete / RECORD_FILE).read_bytes() == before


@pytest.mark.parametrize(
    "change",
    [
        "study_directions SET direction = 'UP'",
        "trials SET state = 'ENDED'",
        "trial_params SET distribution_json = replace(distribution_json, 'Distribution', 'Kistribution')",
    ],
)
def test_a_word_that_the_record_cannot_have_is_damage(change: str, command: Command, complete: Path) -> None:
    """SQLAlchemy's error of an enumeration was a traceback."""
    with closing(sqlite3.connect(complete / RECORD_FILE)) as record:
        record.execute(f"UPDATE {change}")
        record.commit()
    code, out, error = command("study.resume", "s", "--runs-dir", str(complete.parent))
    assert (code, out, error.count("\n")) == (2, "", 1), error


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--workers 0", "--workers is 0; it must be above 0"),
        ("--time-budget soon", "'soon' is not a duration"),
        ("--time-budget 0", "--time-budget is 0; it must be above 0"),
        ("--gpus-per-trial 1.5", "a whole number"),
        ("--trials 0", "--trials is 0"),
    ],
)
def test_a_bad_change_is_one_line_and_nothing_is_written(
    words: str, says: str, command: Command, complete: Path
) -> None:
    before = (complete / "study.toml").read_bytes()
    code, out, error = command("study.resume", "s", *words.split(), "--runs-dir", str(complete.parent))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert says in error
    assert (complete / "study.toml").read_bytes() == before


def test_other_versions_are_told_once_and_noted(complete: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    request = Request.read(complete)
    monkeypatch.setattr(driver, "versions", lambda: request.versions | {"torch": "99.0"})
    monkeypatch.setattr(driver, "git_commit", lambda: request.git_commit)
    with Record.open(database.url_in(complete), "s", request.objectives) as record:
        held = cast(Any, SimpleNamespace(request=request, record=record))
        (line,) = driver._changed_versions(held)
        assert f"torch {request.versions['torch']} -> 99.0" in line
        assert driver._changed_versions(held) == []
        (noted,) = record.attributes()[VERSIONS]
        assert (noted["torch"], noted["git_commit"]) == ("99.0", request.git_commit)
        assert noted["since"]


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("harm", ["other", "gone"])
def test_a_study_goes_on_with_its_own_pretrained_weights_only(
    harm: str, refusal: Refusal, request_of: RequestOf, tmp_path: Path
) -> None:
    """Later trials started from the new weights, and nothing told."""
    model, weights = "tests.trainables.models.nets:Plain", tmp_path / "weights.pth"
    torch.save(build(model, channels=1, size=28, classes=10).state_dict(), weights)
    request = request_of(name="s", model=model, weights=str(weights))
    begin(request, tmp_path)
    Request.read(tmp_path / "s").check_files()
    weights.unlink()
    if harm == "other":
        torch.save(build(model, channels=1, size=28, classes=10).state_dict(), weights)
    says = refusal(tmp_path / "s")
    assert f"{weights} does not hold the weights with which the study began; restore what was there" in says
