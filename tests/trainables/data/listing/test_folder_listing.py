"""Which files of a folder are images, of which class, and which folders are refused."""

import os
import shutil

import pytest

from tests.trainables.data.pictures import fresh, noise, refused, two_classes
from trainables.data import load_test


def test_a_class_name_that_is_not_utf8_is_refused(tmp_path):
    folder = two_classes(tmp_path / "set")
    os.rename(folder / "class 1", os.fsencode(folder / "ulc") + b"\xe8re")
    assert "is not UTF-8; rename it" in refused("folder", folder)


def test_folders_that_are_no_class_folders(tmp_path, kvasir):
    assert "needs the folder of its images; give it with --data-dir (--set data_dir=DIR" in refused(
        "folder", None
    )
    assert "nowhere; give it with --data-dir (--set data_dir=DIR" in refused("kvasir", tmp_path / "nowhere")
    assert "at least two classes; it has none" in refused("folder", tmp_path)
    noise(tmp_path / "train" / "0.png", 0)
    assert "holds only the part train of a split; give train and test, or" in refused("folder", tmp_path)
    (tmp_path / "Test").mkdir()
    assert "Test holds no class folders; give each class a folder of its own" in refused("folder", tmp_path)
    (tmp_path / "other").mkdir()
    assert f"{tmp_path} holds both parts of a split (Test, train) and other" in refused("folder", tmp_path)
    assert "neither the 8 class folders of Kvasir nor a split file" in refused("kvasir", tmp_path)
    (tmp_path / "polyps").mkdir()
    assert "lacks the Kvasir folder dyed-lifted-polyps" in refused("kvasir", tmp_path)
    assert "image_size must be 8 to 1024" in refused("kvasir", kvasir, image_size=0)
    assert "unknown on_bad_image 'skp'; the nearest is 'skip'" in refused(
        "kvasir", kvasir, on_bad_image="skp"
    )


def test_classes_and_files_may_have_spaces_and_any_letters(tmp_path):
    names = ("Polyp, adenomatös", "normal z-line ✓", "潰瘍 (colitis)")
    for label, name in enumerate(names):
        for number in range(5):
            noise(tmp_path / "my pictures ä" / name / "deeper in" / f"{number} ü😀.png", 10 * label + number)
    data = fresh("folder", tmp_path / "my pictures ä")
    assert data.class_names == names
    assert set(data.train.labels.tolist()) == {0, 1, 2}
    assert data.left_out == ()


def test_links_out_of_the_folder_are_refused(tmp_path):
    folder = two_classes(tmp_path / "set")
    outside = noise(tmp_path / "outside" / "x.png", 77)
    inside = folder / "class 0" / "again.png"
    inside.symlink_to(folder / "class 0" / "4.png")
    assert len(fresh("folder", folder).left_out) == 1
    link = folder / "class 1" / "link.png"
    link.symlink_to(outside)
    assert f"{link} is a link out of {folder}" in refused("folder", folder)
    link.unlink()
    (folder / "class 2").symlink_to(outside.parent)
    assert f"{folder / 'class 2'} is a link out of {folder}" in refused("folder", folder)


def test_hyper_kvasir_keeps_its_published_split(tmp_path):
    folder = tmp_path / "hyper"
    lines = ["file-name;class-name;split-index"]
    for number in range(60):
        name = f"{number:08x}.jpg"
        noise(folder / "labeled-images" / "lower" / ("cecum", "polyps")[number % 2] / name, number)
        lines.append(f"{name};{('cecum', 'polyps')[number % 2]};{int(number >= 40)}")
    table = folder / "2_fold_split.csv"
    table.write_text("\n".join(lines))
    data, test = fresh("kvasir", folder), load_test("kvasir", folder)
    assert data.class_names == ("cecum", "polyps")
    assert [split.labels.bincount().tolist() for split in (data.train, data.validation, test)] == [
        [17, 17],
        [3, 3],
        [10, 10],
    ]
    published = fresh("folder", folder / "labeled-images" / "lower")
    assert len(published.train.labels) == 48
    lines.append("absent.jpg;cecum;1")
    table.write_text("\n".join(lines))
    assert "1 of 61 images" in refused("kvasir", folder)
    assert "(absent.jpg: No such file" in refused("kvasir", folder)
    table.write_text("\n".join([*lines, "x.jpg,cecum,1"]))
    assert "2_fold_split.csv, line 63: not of the form file-name;class-name;split-index" in refused(
        "kvasir", folder
    )
    table.write_text(lines[0])
    assert "must name at least two classes and two parts" in refused("kvasir", folder)


def parts(folder, *names, each=4):
    """Parts of a split with two class folders each, and different images everywhere."""
    for place, name in enumerate(names):
        for number in range(2 * each):
            noise(folder / name / "ab"[number % 2] / f"{number}.png", 100 * place + number)
    return folder


def test_a_copy_in_the_test_part_is_not_trained_on(tmp_path):
    folder = parts(tmp_path / "set", "train", "val", "test")
    (folder / "train" / "a" / "copy.png").write_bytes((folder / "test" / "a" / "0.png").read_bytes())
    data = fresh("folder", folder)
    assert len(data.train.labels) == 8
    assert data.left_out == ("train/a/copy.png: the same image as test/a/0.png",)


def test_parts_that_do_not_fit_together_are_refused(tmp_path):
    folder = parts(tmp_path / "set", "train", "test")
    noise(folder / "train" / "c" / "0.png", 999)
    assert "the class c is not in every part of the split" in refused("folder", folder)
    shutil.rmtree(folder / "train" / "c")
    parts(folder, "Training")
    assert "two folders of the same part (Training, test, train); join or remove one" in refused(
        "folder", folder
    )
    shutil.rmtree(folder / "train")
    shutil.rmtree(folder / "Training")
    assert "holds only the part test of a split" in refused("folder", folder)


def test_train_may_be_a_class(tmp_path):
    for number, name in enumerate(("car", "plane", "train") * 4):
        noise(tmp_path / "set" / name / f"{number}.png", number)
    assert fresh("folder", tmp_path / "set").class_names == ("car", "plane", "train")


@pytest.mark.parametrize(
    "place", ["masks", "class 0/Ground-Truth", "Segmentation_Masks", "class 1/deep/mask"]
)
def test_a_folder_of_masks_is_no_class_and_no_part_of_one(tmp_path, place):
    folder = two_classes(tmp_path / "set")
    noise(folder / place / "0.png", 99)
    assert f"{folder / place} seems to hold masks, not images of a class" in refused("folder", folder)


@pytest.mark.parametrize("name", ["0_mask.png", "0 segmentation.png", "0_mask_1.png", "0-seg.tif"])
def test_masks_beside_their_images_are_refused(tmp_path, name):
    folder = two_classes(tmp_path / "set")
    noise(folder / "class 0" / name, 99)
    assert f"{name} seems to be a mask of class 0/0.png; move masks away" in refused("folder", folder)


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31mred", "a\u202eb", "=1+1", "@SUM(A1)", "+1+1", "-x", " "])
def test_class_names_that_a_terminal_or_a_spreadsheet_would_obey_are_refused(tmp_path, name):
    folder = two_classes(tmp_path / "set")
    os.rename(folder / "class 1", folder / name)
    said = refused("folder", folder)
    assert "the name of the class" in said
    assert said.endswith("rename it")
    assert said.isprintable()


@pytest.mark.parametrize(
    ("one", "other"), [("Polyp", "polyp"), ("caf\u00e9", "cafe\u0301"), ("polyp", "polyp "), ("a b", "a  B")]
)
def test_classes_that_look_alike_are_refused(tmp_path, one, other):
    folder = two_classes(tmp_path / "set")
    os.rename(folder / "class 0", folder / one)
    os.rename(folder / "class 1", folder / other)
    assert "look alike; give the images of one class one name" in refused("folder", folder)


def test_letters_in_both_cases_are_classes(tmp_path):
    folder = two_classes(tmp_path / "set")
    os.rename(folder / "class 0", folder / "a")
    os.rename(folder / "class 1", folder / "A")
    assert fresh("folder", folder).class_names == ("A", "a")


@pytest.mark.parametrize("name", ["-1", "+0.5", "a = b", "no-finding"])
def test_other_class_names_are_taken(tmp_path, name):
    folder = two_classes(tmp_path / "set")
    os.rename(folder / "class 1", folder / name)
    assert name in fresh("folder", folder).class_names
