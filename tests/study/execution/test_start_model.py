"""The model of --init: a resume refuses another one, a damaged one and other weights, before Ray starts."""

import math
import os
import re
import shutil
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import results
import study
from study.execution import start_model
from study.execution.confirmation import confirm
from study.execution.interrupt import Interrupt
from study.execution.start_model import StartModel
from study.execution.worker import Job, reports
from study.store import database
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.errors import UserError
from tests.study.conftest import Refusal, begin
from tests.study.toys import ToyEpoch, estimate, toy
from trainables import Config
from trainables.training import checkpoint

RequestOf = Callable[..., Request]


def write_model(path: Path, config: Config, fingerprint: str, weight: float = 0.0) -> None:
    """Write the checkpoint of a training, of one weight."""
    path.parent.mkdir(exist_ok=True)
    about = {"config": config.flat(), "fingerprint": fingerprint}
    checkpoint.write(path, {"weight": torch.tensor(weight)}, about)


def train_start(request: Request, runs: Path, name: str = "s") -> Path:
    """Begin a study whose start model is trained; the folder of that."""
    request = replace(request, name=name)
    begin(request, runs)
    start = request.start()
    assert start is not None
    folder, data = runs / name / layout.INIT_DIR, request.data["fingerprint"]
    job = Job(number=-1, flat=start.flat(), directory=folder, study=runs / name, token="t", data=data)
    (runs / name / layout.LOCK_FILE).write_text('{"token": "t"}')
    assert [report.error for report in reports(job, toy)] == [None] * start.epochs
    write_model(folder / layout.CHECKPOINT_FILE, start, data, weight=1.0)
    with Record.open(database.url_in(runs / name), name, request.objectives) as record:
        start_model.note(StartModel.at(folder / layout.CHECKPOINT_FILE), record, print)
    return folder


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
    refusal: Refusal,
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
        says = refusal(tmp_path / name)
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
    refusal: Refusal,
    request_of: RequestOf,
    tmp_path: Path,
) -> None:
    folder = train_start(request_of(init=init), tmp_path)
    train_start(request_of(init=init, seed=5), tmp_path, "t")
    harm(folder)
    says = refusal(tmp_path / "s")
    assert told in says
    assert "is a link" in told or "or remove it, so that the study trains this model again" in says
    if init == "float":  # maps of a confirmed trial were compared with those of whatever was there
        with pytest.raises(UserError, match=re.escape(told)):
            confirm(tmp_path / "s", [0], 1, Interrupt(math.inf, faults=lambda: ""))


def swapping(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, but somebody changes the start model while trial 1 is trained."""
    if directory.name == "1":
        model = directory.parents[1] / layout.INIT_DIR / layout.CHECKPOINT_FILE
        write_model(
            model, Config.parse(tomllib.loads((model.parent / layout.CONFIG_FILE).read_text())), "", 1.0
        )
    yield from toy(flat, directory)


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("init", start_model.KINDS)
def test_a_start_model_that_is_changed_while_a_study_runs_stops_it(init: str, tmp_path: Path) -> None:
    """It was noticed at the next resume alone, when trials of two models were in the record."""
    spec = study.Spec(
        space="mixed_bits",
        name="s",
        runs_dir=str(tmp_path),
        epochs=3,
        trials=6,
        init=init,
        workers=1,
        scheduler="fifo",
    )
    outcome = study.run_study(spec, swapping, estimate)
    assert outcome.code == 1
    assert "has other weights than those that the trials so far started from; restore it" in outcome.reason
    found = results.load(outcome.directory).trials
    assert found["state"].tolist().count("complete") == 2
    assert "failed" not in found["state"].tolist()


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
            start_model.note(StartModel.at(model), record, said.append)
            assert len(said) == lines
    assert tensors
    assert "came out different" in said[0]
