"""The width table: measured by workers, continued where it was cut off, and never believed if it was altered."""

import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

import results
import study
from study.execution import patience, width_table
from study.execution.batch import InterruptedBatchError
from study.execution.patience import Patience
from study.execution.start_model import StartModel
from study.search.estimated import Estimable
from study.store.directory import create
from study.store.request import Request
from study_common import digests, layout
from study_common.errors import UserError
from tests.study import toys
from trainables.training import checkpoint

pytestmark = pytest.mark.usefixtures("local_ray")

Asked = tuple[Request, Path, StartModel, str]

SPACE = """
[parameters]
lambda1 = { type = "float", low = 0.1, high = 3.0 }
[bits]
layers = ["conv*", "fc1"]
values = [2, 8]
"""


def failing(flat: Mapping[str, Any]) -> Mapping[str, float]:
    raise ValueError("no such image")


def freezing(flat: Mapping[str, Any]) -> Mapping[str, float]:
    """As `toys.estimate`, but the worker of the first one stops."""
    marker = Path(flat["init"]).parent / "frozen"
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGSTOP)
    return toys.estimate(flat)


def never() -> bool:
    return False


@pytest.fixture
def space(tmp_path: Path) -> str:
    path = tmp_path / "eight.toml"
    path.write_text(SPACE)
    return str(path)


@pytest.fixture
def asked(request_of: Callable[..., Request], space: str, tmp_path: Path) -> Asked:
    """A study of eight width configurations, its directory, its shared model, and no token of a lease."""
    request = request_of(space=space, init="shared")
    directory = create(request, str(tmp_path))
    model = tmp_path / "model"
    checkpoint.write(model, {"weight": torch.zeros(1)}, {})
    return request, directory, StartModel.at(model), ""


def test_a_table_that_was_cut_off_is_continued(asked: Asked, tmp_path: Path) -> None:
    request, directory, *_ = asked
    path = directory / layout.WIDTHS_FILE
    with pytest.raises(InterruptedBatchError):
        width_table.measure(*asked, toys.estimate, path.exists, Patience(20.0), print)
    kept = len(pd.read_parquet(path))
    assert kept == width_table.AT_A_TIME
    (tmp_path / toys.ESTIMATED).unlink()
    table = width_table.measure(*asked, toys.estimate, never, Patience(20.0), print)
    assert len((tmp_path / toys.ESTIMATED).read_text().splitlines()) == 8 - kept
    widths = ["params.bits.conv1", "params.bits.conv2", "params.bits.fc1"]
    assert len(table.drop_duplicates(widths)) == len(table) == 8
    assert pd.read_parquet(path).equals(table)
    for row in table.to_dict("records"):
        flat = request.flat({name.removeprefix("params."): row[name] for name in widths})
        assert row["metrics.accuracy"] == toys.metrics_of(flat, request.epochs)["accuracy"]
        assert row["params.lambda1"] == 1.0


def test_a_table_that_cannot_be_used_is_measured_again(asked: Asked, tmp_path: Path
) -> None:  # fmt: skip
    _, directory, shared, _ = asked
    path, notes, said = directory / layout.WIDTHS_FILE, tmp_path / toys.ESTIMATED, list[str]()

    def measured() -> int:
        notes.write_text("")
        said.clear()
        width_table.measure(*asked, toys.estimate, never, Patience(20.0), said.append)
        return len(notes.read_text().splitlines())

    assert (measured(), measured()) == (8, 0)
    path.write_bytes(path.read_bytes()[:-100])
    assert measured() == 8
    assert "altered" in said[0]
    edited = pd.read_parquet(path)
    edited["metrics.accuracy"] = 1.0
    edited.to_parquet(path, index=False)
    assert measured() == 8
    checkpoint.write(shared.path, {"weight": torch.zeros(1)}, {"seconds": 2.0})
    assert measured() == 0, "trained again, to the same weights"
    checkpoint.write(shared.path, {"weight": torch.ones(1)}, {})
    asked = (asked[0], directory, StartModel.at(shared.path), "")
    assert measured() == 8
    assert "another shared model" in said[0]


def test_a_table_is_measured_on_the_images_of_the_launch_only(asked: Asked) -> None:
    request, *others = asked
    request = replace(request, data={**request.data, "fingerprint": "others"})
    with pytest.raises(UserError, match="measured: fashion_mnist_small does not hold the images with which"):
        width_table.measure(request, *others, toys.estimate, never, Patience(20.0), print)


def test_a_shared_model_that_is_changed_while_its_table_is_measured_ends_it(asked: Asked) -> None:
    *_, shared, _ = asked
    checkpoint.write(shared.path, {"weight": torch.ones(1)}, {})
    with pytest.raises(UserError, match=f"measured: {shared.path} has other weights than those"):
        width_table.measure(*asked, toys.estimate, never, Patience(20.0), print)
    assert not (shared.path.parent / toys.ESTIMATED).exists()


def test_a_folder_in_the_place_of_a_table_is_told_before_anything_is_measured(
    asked: Asked, tmp_path: Path
) -> None:
    _, directory, *_ = asked
    (directory / layout.WIDTHS_FILE).mkdir()
    with pytest.raises(UserError, match="is not a regular file; remove it, so that the table is measured"):
        width_table.measure(*asked, toys.estimate, never, Patience(20.0), print)
    assert not (tmp_path / toys.ESTIMATED).exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"point": "{"}, {"point": "[1]"}, {"point": "[" * 100_000}, {"metrics.accuracy": "high"},
        {"metrics.accuracy": None},
    ],
    ids=range(5),
)  # fmt: skip
def test_a_sealed_table_of_wrong_types_is_none(asked: Asked, changes: dict[str, Any]) -> None:
    request, directory, *_ = asked
    path, said = directory / layout.WIDTHS_FILE, list[str]()
    row = {"shared_model": "x", "point": '{"lambda1": 1.0}', "metrics.accuracy": 0.5, "metrics.flops": 1.0}
    row |= {f"metrics.{name}": 0.5 for name in request.objectives}
    for changed, rows in (({}, 1), (changes, 0)):
        changed = {name: value for name, value in (row | changed).items() if value is not None}
        pd.DataFrame([changed]).to_parquet(path, index=False)
        digests.seal(path)
        found = width_table._read(path, "x", request, Estimable.of(request), said.append)
        assert len(found) == rows
    assert "cannot be used" in said[0]


def test_a_configuration_that_cannot_be_measured_says_why(
    asked: Asked,
) -> None:
    with pytest.raises(UserError, match="no such image"):
        width_table.measure(*asked, failing, never, Patience(20.0), print)


def test_a_frozen_worker_does_not_hold_the_table(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    """The table had a loop of its own, which waited without bound."""
    monkeypatch.setattr(patience, "LEAST_FIRST_S", 8.0)
    said: list[str] = []
    table = width_table.measure(*asked, freezing, never, Patience(1.0), said.append)
    assert len(table) == 8
    assert any("of the width table: no progress for 8 s" in line for line in said)


def test_a_study_tries_what_its_table_finds_promising(
    space: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = study.Spec(
        space=space, name="s", runs_dir=str(tmp_path), epochs=3, trials=8, init="shared", workers=2
    )
    outcome = study.run_study(spec, partial(toys.toy, pause=0.15), toys.estimate)
    assert outcome.code == 0
    said = capsys.readouterr().out
    assert "all trials start from a shared model of all widths: 0 of its 9 epochs are trained" in said
    assert "shared model of all widths: epoch" in said
    request = Request.read(outcome.directory)
    table = pd.read_parquet(outcome.directory / layout.WIDTHS_FILE)
    chosen = width_table.to_try(request, table)
    assert 1 <= len(chosen) <= 4
    found = results.load(outcome.directory)
    tried = [
        {name.removeprefix("params."): value for name, value in row.items() if name.startswith("params.")}
        for row in found.trials.to_dict("records")
    ]
    new = [point for point in chosen if point not in request.queue]
    assert tried[3 : 3 + len(new)] == new  # after the corners
    assert "Estimates: accuracy over flops" in (outcome.directory / layout.REPORT_FILE).read_text()
    start = (outcome.directory / layout.INIT_DIR / layout.CONFIG_FILE).read_text()
    assert '"widths.bits.conv1" = [\n    2,\n    8,\n]' in start
    notes = outcome.directory / layout.INIT_DIR / toys.ESTIMATED
    assert len(notes.read_text().splitlines()) == len(table) == 8
    assert study.resume_study(outcome.directory, trials=10, train=toys.toy, estimate=toys.estimate).code == 0
    assert len(notes.read_text().splitlines()) == 8
    assert len(results.load(outcome.directory).trials) == 10
    said = capsys.readouterr().out
    assert "all trials start from a shared model of all widths: 9 of its 9 epochs are trained" in said
    assert "widths: epoch" not in said
