"""Masks: matched by name, brought to the images' size as the images are, and what cannot be used is said."""

import logging
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from study_common.errors import UserError
from tests import make_lesions
from trainables.data import Masks, Preparation, load, load_masks

SIDE = 32


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def lesions(tmp_path: Path) -> Path:
    """Twenty images of two classes; four are for validation."""
    make_lesions.make(tmp_path / "set", 10, SIDE)
    return tmp_path / "set"


def masks_of(folder: Path, masks: str = "masks", part: str = "validation", **preparation: object) -> Masks:
    load_masks.cache_clear()
    prepared = Preparation(**{"image_size": SIDE, **preparation})  # type: ignore[arg-type]
    return load_masks("folder", str(folder / "images"), prepared, str(folder / masks), part)


def refused(folder: Path, **given: object) -> str:
    with pytest.raises(UserError) as caught:
        masks_of(folder, **given)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    return str(caught.value)


def validation_files(folder: Path, part: str = "validation") -> list[Path]:
    """The mask files of a part, found by the pixels of their images."""
    images = {
        np.asarray(Image.open(path)).transpose(2, 0, 1).tobytes(): path
        for path in (folder / "images").rglob("*.png")
    }
    assert part == "validation"
    found = load("folder", folder / "images", Preparation(image_size=SIDE)).validation.images
    paths = [images[image.numpy().tobytes()] for image in found]
    return [folder / "masks" / path.relative_to(folder / "images") for path in paths]


def save(path: Path, levels: np.ndarray) -> None:
    Image.fromarray(levels.astype(np.uint8)).save(path)


def test_masks_lie_on_the_findings_of_their_images(lesions: Path) -> None:
    load.cache_clear()
    masks = masks_of(lesions)
    expected = [np.asarray(Image.open(path)) > 127 for path in validation_files(lesions)]
    assert masks.indices.tolist() == list(range(len(expected)))
    assert torch.equal(masks.inside, torch.from_numpy(np.stack(expected)))


@pytest.mark.parametrize("part", ["train", "test"])
def test_each_part_has_its_own(part: str, lesions: Path) -> None:
    assert len(masks_of(lesions, part=part).indices) == {"train": 16, "test": 2}[part]
    assert masks_of(lesions, part=part).fingerprint != masks_of(lesions).fingerprint


def test_masks_may_lie_directly_in_their_folder_and_have_another_format(lesions: Path) -> None:
    (lesions / "flat").mkdir()
    for path in (lesions / "masks").rglob("*.png"):
        Image.open(path).save(lesions / "flat" / f"{path.stem}.bmp")
    assert masks_of(lesions, "flat").fingerprint == masks_of(lesions).fingerprint


def test_a_name_that_two_images_have_finds_no_mask_in_the_folder_itself(lesions: Path) -> None:
    for kind in ("images", "masks"):
        for path in (lesions / kind).rglob("*.png"):
            path.rename(path.with_name(path.name.replace("red", "x").replace("blue", "x")))
    assert len(masks_of(lesions).indices) == len(validation_files(lesions)), "at its place it is found"
    (lesions / "flat").mkdir()
    for path in (lesions / "masks" / "red").glob("*.png"):
        shutil.copy(path, lesions / "flat")
    assert "have no mask" in refused(lesions, masks="flat")


@pytest.mark.parametrize("levels", ["0 and 1", "16 bits"])
def test_the_highest_level_is_inside_whatever_it_is(levels: str, lesions: Path) -> None:
    before = masks_of(lesions)
    for path in (lesions / "masks").rglob("*.png"):
        inside = np.asarray(Image.open(path)) > 0
        high = inside.astype(np.uint8) if levels == "0 and 1" else inside.astype(np.uint16) * 40_000
        Image.fromarray(high).save(path)
    assert torch.equal(masks_of(lesions).inside, before.inside)


@pytest.mark.parametrize("resize", ["squash", "pad", "crop"])
@pytest.mark.parametrize("crop_border", [False, True])
def test_a_mask_is_cropped_and_resized_as_its_image_is(
    resize: str, crop_border: bool, tmp_path: Path
) -> None:
    """The images are their masks, in a black border: then the pixels above the middle are the masks."""
    rng, size = np.random.default_rng(0), (60, 40)
    for label in "ab":
        for number in range(10):
            levels = np.full(size, 60)
            row, column = rng.integers(12, 28, 2)
            levels[row : row + 10, column : column + 8] = 255
            border = np.pad(levels, ((7, 0), (0, 9)))
            for kind, content in (("images", border), ("masks", 255 * (border > 128))):
                (tmp_path / kind / label).mkdir(parents=True, exist_ok=True)
                save(tmp_path / kind / label / f"{label}{number}.png", content)
    given = {"resize": resize, "crop_border": crop_border}
    masks = masks_of(tmp_path, **given)  # type: ignore[arg-type]
    load.cache_clear()
    seen = load("folder", tmp_path / "images", Preparation(image_size=SIDE, **given)).validation.images  # type: ignore[arg-type]
    middle = (60 + 255) / 2
    agree = (seen[masks.indices, 0] > middle) == masks.inside
    assert agree.double().mean() > 0.995, "all but pixels on the edge"


def test_what_cannot_be_used_is_left_out_and_told(lesions: Path, caplog: pytest.LogCaptureFixture) -> None:
    load.cache_clear()
    make_lesions.make(lesions, 30, SIDE)
    missing, empty, full, *rest = validation_files(lesions)
    missing.unlink()
    save(empty, np.zeros((SIDE, SIDE)))
    save(full, np.full((SIDE, SIDE), 255))
    with caplog.at_level(logging.WARNING):
        masks = masks_of(lesions)
    assert masks.indices.tolist() == list(range(3, 3 + len(rest)))
    for reason in ("1 have no mask", "1 have a mask that is empty", "1 have a mask that is full"):
        assert reason in caplog.text


def test_a_part_without_a_mask_is_refused(lesions: Path) -> None:
    for path in validation_files(lesions):
        save(path, np.zeros((SIDE, SIDE)))
    assert "no image for validation has a mask" in refused(lesions)
    assert "have a mask that is empty" in refused(lesions)


def test_other_sizes_damaged_files_and_missing_folders_are_refused(lesions: Path) -> None:
    one = validation_files(lesions)[0]
    save(one, np.ones((SIDE, SIDE + 1)))
    assert f"has {SIDE + 1}x{SIDE} pixels and its image {SIDE}x{SIDE}" in refused(lesions)
    one.write_bytes(b"\x89PNG\r\n\x1a\n")
    assert str(one) in refused(lesions)
    shutil.copy(lesions / "images" / "red" / "red-0000.png", one.with_suffix(".jpg"))
    assert "are masks of one image; remove one" in refused(lesions)
    assert "no such folder" in refused(lesions, masks="nowhere")


def test_masks_are_for_folders_of_images() -> None:
    with pytest.raises(UserError, match="masks are for images in a folder"):
        load_masks("fashion_mnist_small", "", Preparation(), "anywhere", "validation")


@pytest.mark.timeout(20)
def test_a_pipe_is_no_mask(lesions: Path) -> None:
    path = validation_files(lesions)[0]
    path.unlink()
    os.mkfifo(path)
    assert f"{path}: it is not a regular file; restore it or remove it" in refused(lesions)
