"""An account of every file, against counting by hand."""

import csv
from collections import Counter

from PIL import Image

from tests.trainables.data.pictures import fresh, noise, two_classes
from trainables.data import Preparation, list_files, load_test
from trainables.data.images.file_account import FileRow, write_file_account


def test_every_file_is_accounted_for(tmp_path):
    folder = two_classes(tmp_path / "set")
    for name in ("notes.txt", "class 0/.hidden.png", "class 1/volume.nii", "loose.png", ".git/config"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"")
    (folder / "class 0" / "bad.png").write_text("no image")
    (folder / "class 0" / "copy.png").write_bytes((folder / "class 0" / "4.png").read_bytes())
    preparation = Preparation(on_bad_image="skip")
    rows = list_files("folder", folder, preparation)
    assert {row.path for row in rows} == {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.parts
    } | {".git"}
    reasons = {row.path: row.reason for row in rows if not row.split}
    assert reasons == {
        ".git": "hidden",
        "class 0/.hidden.png": "hidden",
        "class 0/bad.png": reasons["class 0/bad.png"],
        "class 0/copy.png": "the same image as class 0/4.png",
        "class 1/volume.nii": "not an image: .nii",
        "loose.png": "not in a class folder",
        "notes.txt": "not an image: .txt",
    }
    assert reasons["class 0/bad.png"].startswith("it is none of JPEG")
    data = fresh("folder", folder, on_bad_image="skip")
    counts = Counter((row.split, row.class_name) for row in rows if row.split)
    for name, split in (
        ("train", data.train), ("validation", data.validation), ("test", load_test("folder", folder, preparation)),
    ):  # fmt: skip
        assert [counts[name, f"class {label}"] for label in (0, 1)] == split.labels.bincount().tolist()


def test_groups_and_near_duplicates_are_named(tmp_path):
    for number in range(24):
        image = noise(tmp_path / "set" / "ab"[number % 2] / f"p{number // 2}_{number}.png", number)
        (tmp_path / "set" / "ab"[number % 2] / f"p{number // 2}_{number}.bmp").write_bytes(b"")
        Image.open(image).save(image.with_suffix(".bmp"))
    rows = list_files("folder", tmp_path / "set", Preparation(group=r"/(p\d+)_"))
    assert {row.group for row in rows} == {f"p{n}" for n in range(12)}
    rows = list_files("folder", tmp_path / "set", Preparation())
    split = {row.path: row.split for row in rows}
    twins = {path: path[:-3] + ("bmp" if path.endswith("png") else "png") for path in split}
    expected = {
        path
        for path, twin in twins.items()
        if (split[path] == "validation" and split[twin] == "train")
        or (split[path] == "test" and split[twin] != "test")
    }
    assert {row.path for row in rows if row.reason} == expected
    assert all(row.reason == f"looks like {twins[row.path]}" for row in rows if row.reason)


def test_other_data_sets_have_no_files():
    assert list_files("fashion_mnist_small") == []


def test_what_is_written_is_read_back_and_harms_neither_terminal_nor_spreadsheet(tmp_path):
    rows = [
        FileRow('a/0 ü,".png', "a", "train", "", ""),
        FileRow("=1+1\x1b[2J\n.png", "-1", "", "@x", "hidden"),
    ]
    write_file_account(rows, tmp_path / "files.csv")
    with (tmp_path / "files.csv").open(encoding="utf-8", newline="") as file:
        header, first, second = csv.reader(file)
    assert header == ["path", "class", "split", "group", "reason"]
    assert first == list(rows[0])
    assert second == ["'=1+1\\x1b[2J\\n.png", "-1", "", "'@x", "hidden"]
