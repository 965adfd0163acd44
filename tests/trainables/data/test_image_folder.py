"""Folders of images by kind: what is asked of the folder before a file of it is read."""

import os
import re
from pathlib import Path

import pytest

from study_common.errors import UserError
from tests.trainables.data.pictures import two_classes
from trainables.choices import DATASETS
from trainables.data.image_folder import FOLDERS, GIVE_IT, open_folder
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
    folder = two_classes(tmp_path / "set", 3)
    alone, _ = open_folder("folder", folder, Preparation(image_size=16))
    grouped, _ = open_folder("folder", folder, Preparation(image_size=16, group=r"(\d+)\.png"))
    assert {image.group for image in alone.images} == {""}
    assert len({image.group for image in grouped.images}) == 6
