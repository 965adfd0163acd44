"""Folders of images by kind: what is asked of the folder before a file of it is read."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from study_common.errors import UserError
from tests.trainables.data.pictures import two_classes
from trainables.choices import DATASETS
from trainables.data.image_folder import FOLDERS, GIVE_IT, open_folder
from trainables.data.images.file_account import file_account
from trainables.data.images.preparation import Preparation


def test_the_kinds_are_data_sets():
    assert set(FOLDERS) < set(DATASETS)


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("data_dir", [None, ""])
def test_a_folder_that_is_not_given_says_how_to_give_it(name, data_dir):
    with pytest.raises(
        UserError, match=re.escape(f"the data set {name} needs the folder of its images; {GIVE_IT}")
    ):
        open_folder(name, data_dir, Preparation())


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_that_is_not_there_and_a_file_are_no_folder(name, tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "gone", tmp_path / "file"):
        with pytest.raises(UserError, match=re.escape(f"no such folder: {path}; {GIVE_IT}")):
            open_folder(name, path, Preparation())


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may read everything
    with pytest.raises(UserError, match="may not be read; change its permissions"):
        open_folder("folder", tmp_path, Preparation())


def test_class_folders_are_no_kvasir_and_the_message_names_the_kind_to_ask_for(tmp_path):
    folder = two_classes(tmp_path / "set", 3)
    with pytest.raises(
        UserError, match=r"neither the 8 class folders of Kvasir .* ask for the data set folder"
    ):
        open_folder("kvasir", folder, Preparation())
    listing, _ = open_folder("folder", folder, Preparation(image_size=16))
    assert listing.class_names == ("class 0", "class 1")


def test_every_image_of_the_listing_is_decoded_and_a_damaged_one_is_left_out_if_asked(tmp_path):
    folder = two_classes(tmp_path / "set", 4)
    listing, decoded = open_folder("folder", folder, Preparation(image_size=16))
    assert [image.label for image in listing.images] == [0] * 4 + [1] * 4
    assert decoded.left_out == ()
    (folder / "class 0" / "0.png").write_bytes(b"no picture")
    with pytest.raises(UserError, match=r"0\.png"):
        open_folder("folder", folder, Preparation(image_size=16))
    _, decoded = open_folder("folder", folder, Preparation(image_size=16, on_bad_image="skip"))
    assert len(decoded.left_out) == 1


def test_groups_are_found_only_if_a_pattern_is_given(tmp_path):
    folder = two_classes(tmp_path / "set", 10)
    alone, _ = open_folder("folder", folder, Preparation(image_size=16))
    grouped, _ = open_folder("folder", folder, Preparation(image_size=16, group=r"(\d)\.png"))
    assert {image.group for image in alone.images} == {""}
    assert len({image.group for image in grouped.images}) == 10


@dataclass(frozen=True)
class Patients:
    """A random set: the class of each patient, and of each picture the patient and the picture that it is a copy of."""

    classes: list[int]
    pictures: list[tuple[int, int | None]]


@st.composite
def patients(draw):
    """At least five patients of each class, with one to three pictures; some are copies of any earlier picture."""
    classes = [0, 1] * 5 + draw(st.lists(st.integers(0, 1), max_size=3))
    pictures = []
    for patient in range(len(classes)):
        for _ in range(draw(st.integers(1 + (patient == 0), 3))):
            copied = (
                draw(st.integers(0, len(pictures) - 1)) if pictures and draw(st.integers(0, 5)) == 0 else None
            )
            pictures.append((patient, copied))
    return Patients(classes, pictures)


@settings(max_examples=20)
@given(patients(), st.booleans())
def test_no_group_and_no_near_duplicate_pair_is_in_two_parts(tmp_path_factory, drawn, listed):
    """Copies are smaller and compressed again; groups are a column or a pattern, as `listed` says."""
    folder = tmp_path_factory.mktemp("patients")
    paths, made = [], []
    for number, (patient, copied) in enumerate(drawn.pictures):
        coarse = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((80, 60), Image.Resampling.BICUBIC)
        if copied is not None:
            image = made[copied].resize((64, 48))
        paths.append(f"{'ab'[drawn.classes[patient]]}/p{patient}_{number}.jpg")
        made.append(image)
        (folder / paths[-1]).parent.mkdir(exist_ok=True)
        image.save(folder / paths[-1], quality=50 + number if copied is not None else 95)
    labels = folder.with_suffix(".csv")
    rows = [f"{path},{path[0]},{path[2:].partition('_')[0]}" for path in paths]
    labels.write_text("\n".join(["path,class,group", *rows]))
    given_ = {"labels": str(labels)} if listed else {"group": r"([^/]+)_\d+"}
    preparation = Preparation(image_size=8, group_near_duplicates=True, **given_)
    try:
        rows = file_account(*open_folder("csv" if listed else "folder", folder, preparation))
    except UserError as error:
        assume("in too few groups" not in str(error))  # since copies have joined them
        raise
    parts = {row.path: row.split for row in rows}
    assert set(parts.values()) == {"train", "validation", "test"}
    for number, (patient, copied) in enumerate(drawn.pictures):
        same = [path for path, (other, _) in zip(paths, drawn.pictures, strict=True) if other == patient]
        assert {parts[path] for path in same} == {parts[paths[number]]}
        if copied is not None:
            assert parts[paths[copied]] == parts[paths[number]]
