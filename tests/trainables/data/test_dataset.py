"""Data sets by name: the embedded images, the released ones, and class folders, split as stated."""

import hashlib

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import FashionMNIST

from study_common.errors import UserError
from tests.trainables.data.pictures import fresh, refused, rows, two_classes
from tests.trainables.data.released import DEBIAN, needs_debian
from trainables.choices import DATASETS
from trainables.data import Preparation, load, load_test
from trainables.data.dataset import EMBEDDED
from trainables.data.listing.folder_listing import KVASIR
from trainables.data.listing.splits import stratified


def counts(labels):
    return torch.bincount(labels, minlength=10).tolist()


def test_the_embedded_set_is_stratified_and_held_apart():
    data, test = load("fashion_mnist_small"), load_test("fashion_mnist_small")
    assert [counts(part.labels) for part in (data.train, data.validation, test)] == [
        [500] * 10,
        [100] * 10,
        [100] * 10,
    ]
    assert data.train.images.dtype == torch.uint8
    assert data.train.images.shape == (5000, 1, 28, 28)
    assert (data.validation.labels.dtype, len(data.class_names)) == (torch.int64, 10)
    places = [np.load(EMBEDDED / f"{split}.npz")["indices"] for split in ("train", "validation")]
    assert np.unique(np.concatenate(places)).size == 6000


def test_mean_and_std_are_those_of_the_training_pixels():
    data = load("fashion_mnist_small")
    pixels = data.train.images.double() / 255
    assert data.mean == pytest.approx([pixels.mean().item()])
    assert data.std == pytest.approx([pixels.std(correction=0).item()])


def test_the_fingerprint_is_that_of_the_content():
    assert load("fashion_mnist_small").fingerprint == "2e6219148b4faf6b"


@needs_debian
def test_validation_is_5000_stratified_training_images(plain):
    data, oracle = load("fashion_mnist", DEBIAN), FashionMNIST(plain.parent.parent)
    assert counts(data.train.labels) == [5500] * 10
    assert counts(data.validation.labels) == [500] * 10
    chosen = stratified(oracle.targets, 5000)
    rest = np.setdiff1d(np.arange(60000), chosen)
    assert torch.equal(data.validation.images[:, 0], oracle.data[chosen])
    assert torch.equal(data.train.images[:, 0], oracle.data[rest])
    assert torch.equal(data.train.labels, oracle.targets[rest])


def test_the_embedded_set_reads_no_folder(tmp_path):
    assert "comes with the package and does not read" in refused("fashion_mnist_small", tmp_path)
    with pytest.raises(UserError, match="leave data_dir out"):
        load_test("fashion_mnist_small", tmp_path)


def test_an_unknown_data_set_names_the_nearest():
    assert "unknown dataset 'fashion-mnist'; the nearest is 'fashion_mnist'" in refused("fashion-mnist", None)
    assert all(name in refused("?", None) for name in DATASETS)


def test_kvasir_is_split_80_10_10_in_every_class(kvasir):
    data, test = (
        fresh("kvasir", kvasir, image_size=32),
        load_test("kvasir", kvasir, Preparation(image_size=32)),
    )
    assert data.class_names == KVASIR
    for split, each in ((data.train, 8), (data.validation, 1), (test, 1)):
        assert split.labels.bincount().tolist() == [each] * 8
        assert split.images.shape == (8 * each, 3, 32, 32)
        assert (split.images.dtype, split.labels.dtype) == (torch.uint8, torch.int64)
    pixels = data.train.images.double() / 255
    assert data.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist())
    assert data.std == pytest.approx(pixels.std((0, 2, 3), correction=0).tolist())
    assert not rows(data.train) & rows(data.validation)
    assert data.left_out == ()


def test_writing_into_a_batch_or_the_images_leaves_the_cache_alone(tmp_path):
    folder = two_classes(tmp_path / "set")
    data = fresh("folder", folder)
    before = data.train.images.clone()
    data.train.images.zero_()
    assert torch.equal(fresh("folder", folder).train.images, before)


def bitmaps(folder, counts):
    """Pictures whose files have the same bytes on every machine and with every version of Pillow."""
    generator = np.random.default_rng(0)
    for name, count in counts.items():
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{name}{number}.bmp")


def digests(*splits):
    return [
        hashlib.sha256(split.images.numpy().tobytes() + split.labels.numpy().tobytes()).hexdigest()[:16]
        for split in splits
    ]


def test_fingerprint_and_splits_of_a_folder_stay_those_of_the_first_version(tmp_path):
    """A study of version 0.1 that began before this test existed must find the same images in the same order."""
    bitmaps(tmp_path / "set", {"a": 23, "b": 9, "c": 41})
    preparation = {"image_size": 16}
    data, test = (
        fresh("folder", tmp_path / "set", **preparation),
        load_test("folder", tmp_path / "set", Preparation(**preparation)),
    )
    assert data.fingerprint == "3be0afc97392e4e3"
    assert [len(split.labels) for split in (data.train, data.validation, test)] == [59, 7, 7]
    assert digests(data.train, data.validation, test) == [
        "86c2721d12326731",
        "9b00c57933e64d1a",
        "baa25f4b9475e419",
    ]


def test_fingerprint_and_splits_of_a_published_split_stay_those_of_the_first_version(tmp_path):
    bitmaps(tmp_path, {"a": 30, "b": 30})
    lines = [f"{name}{number}.bmp;{name};{int(number >= 20)}" for name in "ab" for number in range(30)]
    (tmp_path / "2_fold_split.csv").write_text("\n".join(["file-name;class-name;split-index", *lines]))
    data, test = (
        fresh("kvasir", tmp_path, image_size=16),
        load_test("kvasir", tmp_path, Preparation(image_size=16)),
    )
    assert data.fingerprint == "f2fc9fc6622ddce4"
    assert [len(split.labels) for split in (data.train, data.validation, test)] == [34, 6, 20]
    assert digests(data.train, data.validation, test) == [
        "d3c01290db5bdd58",
        "11e9ad62a1300543",
        "6224887f08118dfa",
    ]


def test_the_splits_of_the_embedded_images_stay_those_of_the_first_version():
    data = load("fashion_mnist_small")
    assert digests(data.train, data.validation, load_test("fashion_mnist_small")) == [
        "db718b607d0d6bf0",
        "15f7eef3d843bc0c",
        "ede7197ea9d05ab3",
    ]
