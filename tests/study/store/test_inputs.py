"""What every trial reads is compared with what it was at the launch: each kind of file, changed or gone."""

import shutil
from pathlib import Path

import pytest
import torch

from study.store.inputs import Inputs
from study_common import layout
from study_common.errors import UserError
from tests import make_lesions
from tests.study.execution.test_worker import job_in, never, reports
from trainables import Config
from trainables.data import load
from trainables.data.masks import load_masks
from trainables.models.catalogue import build

PLAIN = "tests.trainables.models.nets:Plain"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A configuration that reads images, masks and weights."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_lesions.make(tmp_path, 10, 32)
    weights = tmp_path / "weights.pth"
    torch.save(build(PLAIN, channels=3, size=32, classes=2).state_dict(), weights)
    return Config.parse(
        {
            "model": PLAIN, "dataset": "folder", "data_dir": str(tmp_path / "images"), "image_size": 32,
            "masks": str(tmp_path / "masks"), "pretrained": str(weights), "epochs": 1,
        }
    )  # fmt: skip


def change(config: Config, what: str) -> None:
    """Change what a configuration reads, as another process sees it."""
    if what == "images":
        one, two, *_ = sorted(Path(config.data_dir).rglob("*.png"))
        shutil.copy(one, two)
    elif what == "masks":
        for path in Path(config.masks).rglob("*.png"):
            shutil.copy(Path(config.data_dir) / path.relative_to(config.masks), path)
    else:
        torch.save(build(PLAIN, channels=3, size=32, classes=2).state_dict(), config.pretrained)
    load.cache_clear()
    load_masks.cache_clear()


@pytest.mark.parametrize("what", ["images", "masks", "weights"])
def test_what_changed_is_named_and_halts_a_run(what: str, config: Config, tmp_path: Path) -> None:
    """A worker trained on what it found, which may be another machine's: its trials went into the same front."""
    inputs = Inputs.of(config)
    inputs.check(config)
    change(config, what)
    with pytest.raises(UserError, match=f"does not hold the {what} with which the study began; restore them"):
        inputs.check(config)
    (tmp_path / "s").mkdir()
    job = job_in(tmp_path / "s", config.flat(), inputs=inputs)
    (report,) = reports(job, never)
    assert report.halts
    assert f"does not hold the {what} with which the study began" in str(report.error)
    assert str(report.error).startswith("on ")
    assert not (job.directory / layout.CURVE_FILE).exists()


def test_images_that_are_gone_halt_a_run(config: Config, tmp_path: Path) -> None:
    """Each trial failed in its turn, as if it were to blame."""
    inputs = Inputs.of(config)
    Path(config.data_dir).rename(tmp_path / "elsewhere")
    load.cache_clear()
    (tmp_path / "s").mkdir()
    (report,) = reports(job_in(tmp_path / "s", config.flat(), inputs=inputs), never)
    assert report.halts
    assert str(tmp_path / "images") in str(report.error)
