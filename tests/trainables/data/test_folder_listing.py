"""Which files of a folder are images, of which class, and which folders are refused."""

import os

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
    assert "it has only one, train" in refused("folder", tmp_path)
    (tmp_path / "Test").mkdir()
    assert (
        f"holds the parts of a split (Test, train), not classes; give one of them, such as {tmp_path / 'Test'}"
        in (refused("folder", tmp_path))
    )
    (tmp_path / "other").mkdir()
    assert f"the class folder {tmp_path / 'Test'} holds no image" in refused("folder", tmp_path)
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
