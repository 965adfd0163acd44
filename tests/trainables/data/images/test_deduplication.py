"""One file of each content, and no content in two classes."""

import pytest
import torch

from tests.trainables.data.pictures import fresh, rows, two_classes
from trainables.data import Preparation, load_test
from trainables.data.listing.folder_listing import KVASIR


def test_the_split_hangs_on_contents_not_on_names(kvasir, tmp_path):
    before = fresh("kvasir", kvasir)
    archive = tmp_path / "kvasir-dataset-v2"
    for name in KVASIR:
        (archive / name).mkdir(parents=True)
        for path in (kvasir / name).iterdir():
            (archive / name / f"{hash(path)} é.JPEG").write_bytes(path.read_bytes())
    after = fresh("kvasir", tmp_path)
    assert after.fingerprint == before.fingerprint
    assert all(torch.equal(one, other) for one, other in zip(after.train, before.train, strict=True))


def test_duplicates_are_used_once_and_reported(tmp_path):
    folder = two_classes(tmp_path / "set")
    plain = fresh("folder", folder)
    (folder / "class 0" / "copy.png").write_bytes((folder / "class 0" / "4.png").read_bytes())
    data = fresh("folder", folder)
    assert rows(data.train) == rows(plain.train)
    assert data.left_out == ("class 0/copy.png: the same image as class 0/4.png",)


def test_one_image_in_two_classes_is_used_in_neither(tmp_path):
    folder = two_classes(tmp_path / "set")
    (folder / "class 1" / "copy.png").write_bytes((folder / "class 0" / "4.png").read_bytes())
    with pytest.raises(
        ValueError, match=r"2 of 21 images in .* cannot be used \(class 1/copy.png: the same image"
    ):
        fresh("folder", folder)
    data = fresh("folder", folder, on_bad_image="skip")
    test = load_test("folder", folder, Preparation(on_bad_image="skip"))
    assert sum(len(split.labels) for split in (data.train, data.validation, test)) == 19
    assert len(data.left_out) == 2
