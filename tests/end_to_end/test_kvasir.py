"""The README's line for Kvasir as a user types it, on pictures made in its layout and sizes, to the confirmation."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

import results
from tests.end_to_end.test_main_job import run
from tests.make_kvasir import SIZES, make
from trainables import Config, epochs
from trainables.data import Preparation, load, load_test
from trainables.data.listing.folder_listing import KVASIR

PER_CLASS = 10
SPLIT = (8, 1, 1)
"""Training, validation and test images of each class."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The pictures; what is decoded of them stays in a cache of the test's own."""
    folder = tmp_path_factory.mktemp("kvasir-v2")
    make(folder, PER_CLASS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield folder


def size_of(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        return image.size


@pytest.mark.slow
def test_real_sizes_are_split_exactly(pictures: Path) -> None:
    assert {size_of(path) for path in pictures.rglob("*.jpg")} == set(SIZES)
    data = load("kvasir", pictures, Preparation())
    test = load_test("kvasir", pictures, Preparation())
    for split, each in zip((data.train, data.validation, test), SPLIT, strict=True):
        assert split.labels.bincount().tolist() == [each] * len(KVASIR)
        assert split.images.shape == (each * len(KVASIR), 3, 64, 64)
    assert sum(SPLIT) == PER_CLASS


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_from_launch_to_confirmation(pictures: Path, tmp_path: Path) -> None:
    run("study.launch", "--space", "kvasir_mixed_bits", "--dataset", "kvasir", "--data-dir", str(pictures),
        "--model", "resnet18", "--runs-dir", str(tmp_path), "--name", "endoscopy", "--trials", "2", "--epochs", "1",
        "--workers", "1", "--objectives", "auroc:max,size_bytes:min,faithfulness:max",
        "--set", "batch_size=32", "--set", "balance=loss")  # fmt: skip
    study = results.load(tmp_path / "endoscopy")
    document = tomllib.loads((study.path / "study.toml").read_text())
    assert (document["data"]["train"], document["data"]["validation"]) == tuple(
        8 * each for each in SPLIT[:2]
    )
    assert study.trials["state"].tolist() == ["complete", "complete"]
    assert study.trials["metrics.auroc"].between(0, 1).all()
    html = (study.path / "report.html").read_text("utf-8")
    for number in study.trials["number"]:
        confusion = results.confusion_matrix(study, number)
        assert tuple(confusion.columns) == KVASIR
        assert (results.class_metrics(confusion)["images"] == SPLIT[1]).all()
        assert pd.read_csv(study.path / "trials" / str(number) / "curve.csv")["auroc"].notna().all()
    for name in KVASIR:
        assert f'<th scope="row">{name}</th>' in html

    run("study.confirm", "endoscopy", "--runs-dir", str(tmp_path), "--top", "1", "--seeds", "1")
    (confirmed,) = results.load(study.path).confirmations["metrics.auroc"]
    assert 0 <= confirmed <= 1


@pytest.fixture(scope="module")
def small_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    make(folder, 40, ((180, 144), (240, 192)))
    return folder


@pytest.mark.parametrize(("bits", "least"), [(2, 0.6), (8, 0.9)])
def test_the_small_network_learns_the_textures_from_scratch(
    small_pictures: Path, bits: int, least: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    *_, last = epochs(Config.parse(
        {"dataset": "kvasir", "data_dir": str(small_pictures), "model": "small_cnn", "image_size": 48,
         "crop_border": True, "batch_size": 16, "epochs": 5, "bits": bits}
    ))  # fmt: skip
    assert last.metrics["accuracy"] > least  # chance is 1/8; one image of the 32 is 0.03
