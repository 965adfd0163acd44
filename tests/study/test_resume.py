"""What a resume may change, and what it says of other versions. No Ray gets to start."""

import math
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

from study.execution import driver, start_model
from study.execution.searcher import Searcher
from study.execution.worker import Job, Report, reports
from study.store import database
from study.store import directory as directories
from study.store.options import LOGS
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.layout import RECORD_FILE, VERSIONS
from tests.conftest import Command
from tests.study.toys import metrics_of, toy
from trainables import Config
from trainables.models.catalogue import build
from trainables.training import checkpoint

RequestOf = Callable[..., Request]


@pytest.fixture
def complete(request_of: RequestOf, tmp_path: Path) -> Path:
    """A complete study of one trial, with a time budget."""
    request = request_of(name="s", trials=1, time_budget_s=60.0)
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="", extra={})
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


@pytest.fixture
def no_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is wrong has to be found before Ray starts."""
    monkeypatch.setattr(driver, "connected", lambda *_: pytest.fail("it was not found"))


def begun(request: Request, runs: Path) -> Path:
    """Begin a study of which nothing is trained yet; its directory."""
    directory = directories.create(request, str(runs))
    with Record.open(database.url_in(directory), request.name, request.objectives, new=True):
        return directory


def write_model(path: Path, config: Config, fingerprint: str, weight: float = 0.0) -> None:
    """Write the checkpoint of a training, of one weight."""
    path.parent.mkdir(exist_ok=True)
    about = {"config": config.flat(), "fingerprint": fingerprint}
    checkpoint.write(path, {"weight": torch.tensor(weight)}, about)


def train_start(request: Request, runs: Path, name: str = "s") -> Path:
    """Begin a study whose start model is trained; the folder of that."""
    request = replace(request, name=name)
    begun(request, runs)
    start = request.start()
    assert start is not None
    folder, data = runs / name / layout.INIT_DIR, request.data["fingerprint"]
    job = Job(number=-1, flat=start.flat(), directory=folder, study=runs / name, token="t", data=data)
    (runs / name / layout.LOCK_FILE).write_text('{"token": "t"}')
    assert [report.error for report in reports(job, toy)] == [None] * start.epochs
    write_model(folder / layout.CHECKPOINT_FILE, start, data, weight=1.0)
    with Record.open(database.url_in(runs / name), name, request.objectives) as record:
        start_model.note(folder / layout.CHECKPOINT_FILE, record, print)
    return folder


def refusal(command: Command, directory: Path) -> str:
    """Resume a study with other options, and return the one line that refuses; nothing is written."""
    before = (directory / layout.REQUEST_FILE).read_bytes()
    code, out, error = command(
        "study.resume", directory.name, "--trials", "3", "--runs-dir", str(directory.parent)
    )
    assert (code, out, error.count("\n")) == (2, "", 1), error
    assert (directory / layout.REQUEST_FILE).read_bytes() == before
    return error


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize(
    ("init", "other", "differs"),
    [
        ("float", {"seed": 5}, "seed"),
        ("float", {"model": "small_cnn"}, "model"),
        ("float", {"init": "shared"}, "epochs, batch_size"),
        ("float", {"init_settings": {"epochs": 4}}, "epochs"),
        ("shared", {"seed": 5}, "seed"),
        ("shared", {"model": "small_cnn"}, "model"),
        ("shared", {"init": "float"}, "epochs, batch_size"),
        ("shared", {"init_settings": {"epochs": 4}}, "epochs"),
        ("shared", {"fixed": {"lambda1": 0.2}}, "lambda1"),
        ("shared", {"fixed": {"bits.conv1": 8}}, "widths.bits.conv1"),
        ("shared", {"fixed": {"bits.fc2": 4}}, "w_bits.fc2"),
    ],
    ids=str,
)
@pytest.mark.parametrize("file", [layout.CHECKPOINT_FILE, layout.RESUME_FILE, layout.PREVIOUS_FILE])
def test_the_start_model_of_another_study_is_not_continued_with(
    file: str,
    init: str,
    other: dict[str, Any],
    differs: str,
    command: Command,
    request_of: RequestOf,
    tmp_path: Path,
) -> None:
    """Trials of two start models cannot be compared. It was found after Ray had begun, or not at all."""
    both = ({"init": init}, {"init": init, **other})
    for name, mine, theirs in (("a", *both), ("b", *reversed(both))):
        folder = train_start(request_of(**mine), tmp_path, name)
        start = request_of(**theirs).start()
        assert start is not None
        write_model(folder / file, start, request_of().data["fingerprint"])
        says = refusal(command, tmp_path / name)
        assert f"{folder / file} is of another run, which differs in {differs}" in says
        assert says.endswith(
            f"; restore {folder} from a copy, or remove it, so that the study trains this model again\n"
        )


def images(folder: Path) -> None:
    about = checkpoint.read(folder / layout.CHECKPOINT_FILE)[1]
    write_model(folder / layout.CHECKPOINT_FILE, Config.parse(about["config"]), "0" * 64)


def weights(folder: Path) -> None:
    about = checkpoint.read(folder / layout.CHECKPOINT_FILE)[1]
    write_model(
        folder / layout.CHECKPOINT_FILE, Config.parse(about["config"]), about["fingerprint"], weight=2.0
    )


def cut(folder: Path) -> None:
    model = folder / layout.CHECKPOINT_FILE
    model.write_bytes(model.read_bytes()[:-1])


def altered(folder: Path) -> None:
    model = folder / layout.CHECKPOINT_FILE
    model.write_bytes(model.read_bytes()[:-1] + b"x")


def described_by_nothing(folder: Path) -> None:
    checkpoint.write(folder / layout.CHECKPOINT_FILE, {}, {})


def no_curve(folder: Path) -> None:
    (folder / layout.CURVE_FILE).unlink()


def no_identity(folder: Path) -> None:
    (folder / layout.IDENTITY_FILE).unlink()


def whole_folder(folder: Path) -> None:
    shutil.rmtree(folder)
    shutil.copytree(folder.parents[1] / "t" / folder.name, folder)


def a_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("x")


def a_folder(folder: Path) -> None:
    (folder / layout.CHECKPOINT_FILE).unlink()
    (folder / layout.CHECKPOINT_FILE).mkdir()


def a_pipe(folder: Path) -> None:
    (folder / layout.CHECKPOINT_FILE).unlink()
    os.mkfifo(folder / layout.CHECKPOINT_FILE)


def a_link(folder: Path) -> None:
    (folder / layout.CHECKPOINT_FILE).rename(folder.parents[1] / "elsewhere")
    (folder / layout.CHECKPOINT_FILE).symlink_to(folder.parents[1] / "elsewhere")


def a_broken_link(folder: Path) -> None:
    (folder / layout.CHECKPOINT_FILE).unlink()
    (folder / layout.CHECKPOINT_FILE).symlink_to("/nowhere")


def a_linked_folder(folder: Path) -> None:
    folder.rename(folder.parents[1] / "elsewhere")
    folder.symlink_to(folder.parents[1] / "elsewhere")


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("init", ["float", "shared"])
@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (images, "differs in the images"),
        (weights, "has other weights than those that the trials so far started from"),
        (cut, "is not a complete checkpoint"),
        (altered, "was altered since it was written"),
        (described_by_nothing, "its description: it holds {}"),
        (no_curve, "curve.csv is missing or was altered"),
        (no_identity, "has no readable identity.json"),
        (whole_folder, "held another configuration's run"),
        (a_file, "init is not a folder"),
        (a_folder, "has something else in the place of the file checkpoint.safetensors"),
        (a_pipe, "has something else in the place of the file checkpoint.safetensors"),
        (a_link, "checkpoint.safetensors is a link; copy the study with its files in it"),
        (a_broken_link, "checkpoint.safetensors is a link; copy the study with its files in it"),
        (a_linked_folder, "init is a link; copy the study with its files in it"),
    ],
    ids=lambda each: getattr(each, "__name__", ""),
)
def test_a_start_model_that_was_harmed_is_not_continued_with(
    harm: Callable[[Path], None],
    told: str,
    init: str,
    command: Command,
    request_of: RequestOf,
    tmp_path: Path,
) -> None:
    folder = train_start(request_of(init=init), tmp_path)
    train_start(request_of(init=init, seed=5), tmp_path, "t")
    harm(folder)
    says = refusal(command, tmp_path / "s")
    assert told in says
    assert "is a link" in told or "or remove it, so that the study trains this model again" in says


def test_a_start_model_that_is_trained_again_is_compared_with_the_first(
    request_of: RequestOf, tmp_path: Path
) -> None:
    """The time that a training took is no difference; other weights are told, once."""
    request, said = request_of(init="float"), list[str]()
    model = train_start(request, tmp_path) / layout.CHECKPOINT_FILE
    tensors, about = checkpoint.read(model)
    with Record.open(database.url_in(tmp_path / "s"), "s", request.objectives) as record:
        for weight, lines in ((1.0, 0), (2.0, 1), (2.0, 1)):
            checkpoint.write(model, {"weight": torch.tensor(weight)}, about | {"seconds": weight})
            start_model.note(model, record, said.append)
            assert len(said) == lines
    assert tensors
    assert "came out different" in said[0]


@pytest.mark.usefixtures("no_ray")
@pytest.mark.parametrize("harm", ["other", "gone"])
def test_a_study_goes_on_with_its_own_pretrained_weights_only(
    harm: str, command: Command, request_of: RequestOf, tmp_path: Path
) -> None:
    """Later trials started from the new weights, and nothing told."""
    model, weights = "tests.trainables.models.nets:Plain", tmp_path / "weights.pth"
    torch.save(build(model, channels=1, size=28, classes=10).state_dict(), weights)
    request = request_of(name="s", model=model, weights=str(weights))
    begun(request, tmp_path)
    Request.read(tmp_path / "s").check_files()
    weights.unlink()
    if harm == "other":
        torch.save(build(model, channels=1, size=28, classes=10).state_dict(), weights)
    says = refusal(command, tmp_path / "s")
    assert f"{weights} does not hold the weights with which the study s began; restore them" in says
