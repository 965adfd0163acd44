"""What every trial reads is compared with what it was at the launch: each kind of file, changed, harmed or gone."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

import results
import study
from study.store.inputs import REMEDY, Inputs
from study.store.request import Request
from study_common import layout
from study_common.errors import StudyWarning, UserError
from tests import make_lesions
from tests.study.execution.test_worker import job_in, never, reports
from tests.study.toys import toy
from trainables import Config
from trainables.data import load
from trainables.data.image_folder import open_folder
from trainables.data.masks import load_masks
from trainables.models.catalogue import build
from trainables.training.inputs import forget_images, preparation_of

PLAIN = "tests.trainables.models.nets:Plain"
SPACE = """
[parameters]
lambda1 = { type = "float", low = 0.1, high = 3.0 }
[bits]
layers = "conv*"
values = [2, 8]
"""


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with images, masks and weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "files"
    folder.mkdir()
    make_lesions.make(folder, 20, 32)
    write_weights(folder / "weights.safetensors")
    rows = [f"{path.relative_to(folder / 'images')},{path.parent.name}" for path in pictures(folder)]
    (folder / "labels.csv").write_text("\n".join(["path,class", *rows]) + "\n")
    return folder


def pictures(files: Path) -> list[Path]:
    return sorted((files / "images").rglob("*.png"))


def write_weights(path: Path) -> None:
    save_file(dict(build(PLAIN, channels=3, size=32, classes=2).state_dict()), path)


@pytest.fixture
def config(files: Path) -> Config:
    """A configuration that reads them."""
    return Config.parse(
        {
            "model": PLAIN, "dataset": "csv", "data_dir": str(files / "images"), "labels": str(files / "labels.csv"),
            "masks": str(files / "masks"), "pretrained": str(files / "weights.safetensors"), "image_size": 32,
            "epochs": 2,
        }
    )  # fmt: skip


def other_image(files: Path) -> None:
    one, two, *_ = pictures(files)
    shutil.copy(one, two)


def cut_image(files: Path) -> None:
    os.truncate(pictures(files)[0], 60)


def no_image(files: Path) -> None:
    pictures(files)[0].unlink()


def no_images(files: Path) -> None:
    (files / "images").rename(files / "elsewhere")


def other_classes(files: Path) -> None:
    labels = (files / "labels.csv").read_text().splitlines()
    file, label = labels[1].split(",")
    labels[1] = f"{file},{({line.split(',')[1] for line in labels[2:]} - {label}).pop()}"
    (files / "labels.csv").write_text("\n".join(labels) + "\n")


def no_labels(files: Path) -> None:
    (files / "labels.csv").unlink()


def other_masks(files: Path) -> None:
    for path in (files / "masks").rglob("*.png"):
        shutil.copy(files / "images" / path.relative_to(files / "masks"), path)


def cut_masks(files: Path) -> None:
    for path in (files / "masks").rglob("*.png"):
        os.truncate(path, 50)


def no_masks(files: Path) -> None:
    shutil.rmtree(files / "masks")


def other_weights(files: Path) -> None:
    write_weights(files / "weights.safetensors")


def no_weights(files: Path) -> None:
    (files / "weights.safetensors").unlink()


def unreadable_weights(files: Path) -> None:
    no_weights(files)
    (files / "weights.safetensors").symlink_to("/proc/1/environ")  # not even root may read it


CHANGES = (other_image, other_classes, other_masks, other_weights, no_weights)
HARMS = (cut_image, no_image, no_images, no_labels, cut_masks, no_masks, unreadable_weights)


@pytest.mark.parametrize("harm", [*CHANGES, *HARMS], ids=lambda harm: harm.__name__)
def test_what_is_not_as_at_the_launch_halts_a_run(
    harm: Callable[[Path], None], config: Config, files: Path, tmp_path: Path
) -> None:
    """A worker trained on what it found, or each trial failed in its turn, as if it were to blame."""
    inputs = Inputs.of(config)
    inputs.check(config)
    (tmp_path / "s").mkdir()
    job = job_in(tmp_path / "s", config.flat(), inputs=inputs)
    run = reports(job, toy)
    assert next(run).error is None
    run.close()
    begun = (job.directory / layout.CURVE_FILE).read_text()
    harm(files)
    for known in (load, load_masks):  # as another process sees it
        known.cache_clear()
    with pytest.raises(UserError) as refused:
        inputs.check(config)
    told = str(refused.value)
    assert str(files) in told
    assert told.endswith(REMEDY)
    assert "--" not in told, "a resume has no such flag"
    if harm in CHANGES:
        assert f" with which the study began; {REMEDY}" in told
    (report,) = reports(replace(job, recorded=1), never)
    assert report.halts
    assert str(report.error).startswith("on ")
    assert told in str(report.error)
    assert (job.directory / layout.CURVE_FILE).read_text() == begun
    assert not list(job.directory.parent.glob("*aside*")), "it goes on when they are restored"


@pytest.fixture
def asked(files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The flags of a study that reads all kinds of files, by paths relative to the current folder."""
    (tmp_path / "space.toml").write_text(SPACE)
    monkeypatch.chdir(files)
    return {
        "space": str(tmp_path / "space.toml"), "model": PLAIN, "dataset": "folder", "data_dir": "images",
        "masks": "masks", "weights": "weights.safetensors", "epochs": 1,
        "fixed": {"image_size": 32, "batch_size": 8}, "init_settings": {"epochs": 1},
    }  # fmt: skip


@pytest.mark.parametrize("init", ["", "float", "shared"])
def test_every_run_of_a_study_reads_what_its_launch_read(
    init: str, asked: dict[str, Any], request_of: Callable[..., Request], tmp_path: Path
) -> None:
    """Relative weights had no digest, and a float model, which reads no masks, was refused for its lack of them."""
    if not init:
        del asked["init_settings"]
    request = request_of(**asked, init=init)
    inputs = request.inputs
    assert all((inputs.images, inputs.masks, inputs.weights))
    os.chdir(tmp_path)
    request.check_files()
    request.check_test_masks()
    for config in (request.config({}), request.start(), request.start(request.seed + 1)):
        if config:
            inputs.check(config)


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("init", ["float", "shared"])
def test_a_study_that_reads_everything_runs(init: str, asked: dict[str, Any], tmp_path: Path) -> None:
    spec = study.Spec(**asked, init=init, name="s", runs_dir=str(tmp_path), trials=2, workers=2)
    outcome = study.run_study(spec)
    assert (outcome.code, outcome.reason) == (0, "")
    assert results.load(outcome.directory).trials["state"].tolist() == ["complete"] * 2


def test_what_was_left_out_is_in_the_log_of_each_run(files: Path, config: Config, tmp_path: Path) -> None:
    """The comparison read the masks before the log of the run was open, and reading them again says nothing."""
    mask = next(path for path in sorted((files / "masks").rglob("*.png")) if path.stem in _validation(config))
    mask.unlink()
    inputs = Inputs.of(config)
    forget_images(config)
    (tmp_path / "s").mkdir()
    job = job_in(tmp_path / "s", config.flat(), inputs=inputs)
    assert next(reports(job, toy)).error is None
    assert "for validation 1 have no mask" in (job.directory / layout.LOG_FILE).read_text()


def test_a_process_that_read_the_images_before_sees_that_they_changed(
    asked: dict[str, Any], request_of: Callable[..., Request], files: Path
) -> None:
    """In a notebook, a second study had the fingerprint of the first, and no worker could train for it."""
    del asked["init_settings"]
    first = request_of(**asked)
    other_image(files)
    other_masks(files)
    with pytest.raises(UserError, match="with which the study began"):
        first.check_files()
    second = request_of(**asked)
    assert first.inputs.images != second.inputs.images
    assert first.inputs.masks != second.inputs.masks
    second.check_files()


def _paths(config: Config, part: str) -> list[str]:
    _, decoded = open_folder(config.dataset, config.data_dir, preparation_of(config))
    return [decoded.contents.images[index].file.path for index in decoded.facts["parts"][part]]


def _validation(config: Config) -> set[str]:
    return {Path(path).stem for path in _paths(config, "validation")}


def change_test_masks(config: Config, harm: str) -> None:
    for path in _paths(config, "test"):
        (Path(config.masks) / path).unlink()
        if harm == "other":
            shutil.copy(Path(config.data_dir) / path, Path(config.masks) / path)


@pytest.mark.parametrize("harm", ["other", "none"])
def test_masks_of_test_images_are_those_of_the_launch(
    harm: str, asked: dict[str, Any], request_of: Callable[..., Request], files: Path
) -> None:
    """Seeds of one confirmation were measured with different masks; without any, training came first."""
    del asked["init_settings"]
    request = request_of(**asked)
    change_test_masks(request.config({}), harm)
    load_masks.cache_clear()
    request.check_files()
    with pytest.raises(UserError, match="masks") as refused:
        request.check_test_masks()
    assert str(refused.value).endswith(REMEDY)


def test_a_study_without_masks_of_test_images_is_told_so_and_not_confirmed(
    asked: dict[str, Any], config: Config, request_of: Callable[..., Request]
) -> None:
    del asked["init_settings"]
    change_test_masks(replace(config, dataset="folder", labels=""), "none")
    with pytest.warns(
        StudyWarning, match=r"no image for test has a mask .*; study\.confirm will need such masks"
    ):
        request = request_of(**asked)
    request.check_files()
    with pytest.raises(UserError, match=f"no image for test has a mask .*; {REMEDY}"):
        request.check_test_masks()
