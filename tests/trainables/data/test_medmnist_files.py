"""Sets in MedMNIST's layout: what is in the file is used, and files of another layout are refused."""

import os
import zipfile

import numpy as np
import pytest
import torch

from study_common.errors import UserError
from tests.trainables.data.pictures import fresh, refused
from trainables import Config
from trainables.data import load_test
from trainables.data.medmnist_files import read_parts
from trainables.training.inputs import data_of


def arrays(shape=(), classes=3, counts=(30, 9, 12), size=28):
    generator = np.random.default_rng(0)
    found = {}
    for prefix, count in zip(("train", "val", "test"), counts, strict=True):
        found[f"{prefix}_images"] = generator.integers(0, 256, (count, size, size, *shape), dtype=np.uint8)
        found[f"{prefix}_labels"] = (np.arange(count) % classes)[:, None].astype(np.uint8)
    return found


@pytest.mark.parametrize(("shape", "channels"), [((), 1), ((3,), 3)])
@pytest.mark.parametrize("by_folder", [True, False])
def test_the_three_parts_are_those_of_the_file(tmp_path, shape, channels, by_folder):
    found = arrays(shape)
    np.savez(tmp_path / "bloodmnist.npz", **found)
    place = tmp_path if by_folder else tmp_path / "bloodmnist.npz"
    data, test = fresh("medmnist", place), load_test("medmnist", place)
    assert data.class_names == ("0", "1", "2")
    for split, prefix in ((data.train, "train"), (data.validation, "val"), (test, "test")):
        expected = torch.tensor(found[f"{prefix}_images"]).reshape(-1, 28, 28, channels).permute(0, 3, 1, 2)
        assert torch.equal(split.images, expected)
        assert split.labels.tolist() == found[f"{prefix}_labels"].ravel().tolist()
    assert data.mean == pytest.approx((data.train.images.double() / 255).mean((0, 2, 3)).tolist())


def test_grey_images_are_three_channels_to_a_model_in_colour(tmp_path):
    np.savez(tmp_path / "x.npz", **arrays(size=64))
    config = {"dataset": "medmnist", "data_dir": str(tmp_path)}
    assert data_of(Config.parse(config)).train.images.shape[1] == 1
    assert data_of(Config.parse(config | {"model": "resnet18"})).train.images.shape[1] == 3


BAD = {
    "volumes": (
        lambda a: a | {"train_images": np.zeros((30, 28, 28, 28), np.uint8)},
        "train_images of shape",
    ),
    "not square": (lambda a: a | {"val_images": np.zeros((9, 28, 30), np.uint8)}, "must be square"),
    "floats": (lambda a: a | {"test_images": a["test_images"] / 255}, "of uint8"),
    "several labels": (
        lambda a: a | {"train_labels": np.zeros((30, 14), np.uint8)},
        "one whole number per image",
    ),
    "negative": (lambda a: a | {"train_labels": -a["train_labels"].astype(int)}, "classes start at 0"),
    "too few labels": (lambda a: a | {"train_labels": a["train_labels"][1:]}, "one whole number per image"),
    "no validation": (lambda a: {k: v for k, v in a.items() if "val" not in k}, "is not a set in the layout"),
    "a missing class": (
        lambda a: a | {"test_labels": np.zeros((12, 1), np.uint8)},
        "has no image of the class 1 in the test part",
    ),
    "other sizes": (lambda a: a | {"val_images": np.zeros((9, 32, 32), np.uint8)}, "images of several sizes"),
    "objects": (lambda a: a | {"val_images": np.array([None] * 9)}, "is not a set in the layout"),
}


@pytest.mark.parametrize("kind", BAD)
def test_another_layout_is_refused(tmp_path, kind):
    change, message = BAD[kind]
    np.savez(tmp_path / "x.npz", **change(arrays()))
    assert message in refused("medmnist", tmp_path)


def lies(path):
    """Write a set whose first array says that it has 909 TiB."""
    with zipfile.ZipFile(path, "w") as archive, archive.open("train_images.npy", "w") as file:
        about = {"descr": "|u1", "fortran_order": False, "shape": (10**9, 1000, 1000)}
        np.lib.format.write_array_header_1_0(file, about)


def damaged(path):
    """Write a set of which some compressed bytes were changed."""
    np.savez_compressed(path, **arrays())
    content = bytearray(path.read_bytes())
    start = content.find(b"train_images.npy") + 200
    content[start : start + 40] = bytes(byte ^ 0x5A for byte in content[start : start + 40])
    path.write_bytes(content)


def is_one_array(path):
    with path.open("wb") as file:
        np.save(file, np.zeros(3))


@pytest.mark.parametrize("write", [lies, damaged, is_one_array])
def test_a_damaged_set_is_refused(write, tmp_path):
    write(tmp_path / "x.npz")
    assert "x.npz is not a set in the layout of MedMNIST" in refused("medmnist", tmp_path)


@pytest.mark.timeout(20)
def test_a_pipe_is_no_set(tmp_path):
    os.mkfifo(tmp_path / "x.npz")
    assert "has no .npz file; name the file" in refused("medmnist", tmp_path)
    assert "has no .npz file; name the file" in refused("medmnist", tmp_path / "x.npz")


def test_what_is_no_set_is_refused(tmp_path):
    assert "needs its .npz file; give it with --data-dir" in refused("medmnist", None)
    assert "has no .npz file; name the file" in refused("medmnist", tmp_path)
    (tmp_path / "x.npz").write_bytes(b"no archive")
    assert "is not a set in the layout of MedMNIST" in refused("medmnist", tmp_path)
    np.savez(tmp_path / "y.npz", **arrays())
    assert "has 2 .npz files (x.npz, y.npz); name the file" in refused("medmnist", tmp_path)
    whole = (tmp_path / "y.npz").read_bytes()
    for length in (10, 1000, len(whole) // 2, len(whole) - 10):
        (tmp_path / "x.npz").write_bytes(whole[:length])
        assert "is not a set in the layout of MedMNIST" in refused("medmnist", tmp_path / "x.npz")


@pytest.mark.parametrize(
    ("shape", "length", "says"),
    [
        ((10**9, 1000, 1000), 100, "train_images.npy is cut short"),
        ((600, 1024, 1024), 600 * 2**20, "would take 600 MiB"),
    ],
    ids=["an array of a petabyte", "zeros"],
)  # fmt: skip
def test_a_small_file_of_gigabytes_is_refused_before_it_is_unpacked(tmp_path, shape, length, says):
    np.savez(tmp_path / "x.npz", **{k: v for k, v in arrays().items() if k != "train_images"})
    with (
        zipfile.ZipFile(tmp_path / "x.npz", "a", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("train_images.npy", "w") as file,
    ):
        np.lib.format.write_array_header_1_0(file, {"descr": "|u1", "fortran_order": False, "shape": shape})
        for start in range(0, length, 2**24):
            file.write(bytes(min(2**24, length - start)))
    assert says in refused("medmnist", tmp_path / "x.npz")


def test_damage_anywhere_in_a_compressed_set_changes_nothing_or_is_one_sentence(tmp_path):
    np.savez_compressed(tmp_path / "x.npz", **arrays(size=8))
    whole, refusals = (tmp_path / "x.npz").read_bytes(), list[str]()
    sound = read_parts(tmp_path / "x.npz")
    for place in range(40, len(whole), len(whole) // 40):
        damaged = bytearray(whole)
        damaged[place : place + 20] = bytes(byte ^ 0x5A for byte in damaged[place : place + 20])
        (tmp_path / "x.npz").write_bytes(damaged)
        try:
            found = read_parts(tmp_path / "x.npz")
            assert all(
                np.array_equal(*pair) for part in found for pair in zip(found[part], sound[part], strict=True)
            )
        except UserError as error:
            refusals.append(str(error))
    assert len(refusals) > 30
    assert all("is not a set in the layout of MedMNIST" in said for said in refusals)
