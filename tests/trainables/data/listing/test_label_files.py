"""A CSV of paths and classes: what it says is done, and what it leaves open is refused."""

import os

import pytest

from study_common.errors import UserError
from tests.trainables.data.pictures import fresh, noise, rows, rows_of
from trainables.data import Preparation, load, load_test
from trainables.data.listing.label_files import list_hyper_kvasir, list_labels


@pytest.fixture
def pictures(tmp_path):
    """Forty pictures in one folder, which does not say their classes."""
    for number in range(40):
        noise(tmp_path / "set" / f"{number}.png", number)
    return tmp_path / "set"


def write(path, rows, separator=","):
    path.write_text("\n".join(separator.join(row) for row in rows))
    return path


def refused(labels, folder):
    load.cache_clear()
    with pytest.raises(UserError, match=r".") as info:
        load("csv", folder, Preparation(labels=str(labels)))
    assert "\n" not in str(info.value)
    return str(info.value)


def plain_rows(count=40):
    return [["path", "class"], *([f"{n}.png", "ab"[n % 2 == 0]] for n in range(count))]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_classes_are_those_of_the_file(pictures, tmp_path, separator, mark):
    labels = write(tmp_path / "labels.csv", plain_rows(), separator)
    labels.write_text(mark + labels.read_text(), encoding="utf-8")
    data = fresh("csv", pictures, labels=str(labels))
    test = load_test("csv", pictures, Preparation(labels=str(labels)))
    assert data.class_names == ("a", "b")
    assert [split.labels.bincount().tolist() for split in (data.train, data.validation, test)] == [
        [16, 16],
        [2, 2],
        [2, 2],
    ]
    for label in (0, 1):
        kept = [split.images[split.labels == label] for split in (data.train, data.validation, test)]
        mine = {bytes(image.numpy()) for part in kept for image in part}
        paths = [pictures / f"{n}.png" for n in range(40) if (n % 2 == 0) == bool(label)]
        assert mine == {pixels for pixels, _ in rows_of(paths, ["set"])}


def test_columns_may_stand_in_any_order_and_values_be_quoted(pictures, tmp_path):
    lines = ["class,path", *(f'"the, {"ab"[n % 2]}","./{n}.png"' for n in range(40))]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    data = fresh("csv", pictures, labels=str(tmp_path / "labels.csv"))
    assert data.class_names == ("the, a", "the, b")


def test_stated_splits_are_used_as_they_are(pictures, tmp_path):
    part = {0: "train", 1: "TEST", 2: "val", 3: "train"}
    rows_ = [[*row, part[n // 2 % 4]] for n, row in enumerate(plain_rows()[1:])]
    labels = write(tmp_path / "labels.csv", [["path", "class", "split"], *rows_])
    data = fresh("csv", pictures, labels=str(labels))
    test = load_test("csv", pictures, Preparation(labels=str(labels)))
    for split, numbers in ((data.train, (0, 3)), (data.validation, (2,)), (test, (1,))):
        paths = [pictures / f"{n}.png" for n in range(40) if n // 2 % 4 in numbers]
        assert {pixels for pixels, _ in rows(split)} == {pixels for pixels, _ in rows_of(paths, ["set"])}


def test_groups_of_the_file_stay_together(pictures, tmp_path):
    rows_ = [[*row, f"patient {n // 4}"] for n, row in enumerate(plain_rows()[1:])]
    labels = write(tmp_path / "labels.csv", [["path", "class", "group"], *rows_])
    data = fresh("csv", pictures, labels=str(labels))
    assert (
        data.fingerprint
        != fresh("csv", pictures, labels=str(write(tmp_path / "l.csv", plain_rows()))).fingerprint
    )
    data = fresh("csv", pictures, labels=str(labels))
    test = load_test("csv", pictures, Preparation(labels=str(labels)))
    group = {next(iter(rows_of([pictures / f"{n}.png"], ["set"])))[0]: n // 4 for n in range(40)}
    found = [{group[pixels] for pixels, _ in rows(split)} for split in (data.train, data.validation, test)]
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]
    assert set.union(*found) == set(range(10))


BAD = {
    "no column": (lambda r: [["path", "label"], *r[1:]], "unknown column of .* 'label'"),
    "no class column": (lambda r: [["path"], *(row[:1] for row in r[1:])], "has no column class"),
    "twice a column": (
        lambda r: [["path", "class", "class"], *([*x, "a"] for x in r[1:])],
        "two columns class",
    ),
    "no rows": (lambda r: r[:1], "lists no images"),
    "one class": (
        lambda r: [r[0], *([x[0], "a"] for x in r[1:])],
        "must name at least two classes; it has only a",
    ),
    "two classes of one image": (lambda r: [*r, ["3.png", "b"]], r"lists 3.png in lines 5 and 42; keep one"),
    "twice an image": (lambda r: [*r, ["./x/../3.png", "a"]], r"lists 3.png in lines 5 and 42; keep one"),
    "a short line": (lambda r: [*r, ["3.png"]], "line 42 has 1 values, not 2"),
    "an empty class": (lambda r: [*r, ["3.png", " "]], "line 42 has no class"),
    "a path out": (lambda r: [*r, ["../x.png", "a"]], "line 42: ../x.png leads out of the folder"),
    "a whole path": (lambda r: [*r, ["/etc/x.png", "a"]], "line 42: /etc/x.png leads out of the folder"),
    "a column without a name": (
        lambda r: [["", *r[0]], *([str(n), *x] for n, x in enumerate(r[1:]))],
        "a column without a name, as pandas writes its index; leave it out",
    ),
    "classes that look alike": (
        lambda r: [r[0], *([x[0], {"a": "polyp", "b": "Polyp"}[x[1]]] for x in r[1:])],
        "the names of the classes 'Polyp' and 'polyp' in .* look alike",
    ),
    "paths of Windows": (
        lambda r: [r[0], *([f"set\\{x[0]}", x[1]] for x in r[1:])],
        r"40 of 40 images .*No such file; folders are separated by /; set",
    ),
    "a missing file": (lambda r: [*r, ["40.png", "a"]], r"1 of 41 images .*\(40.png: No such file"),
    "no image": (
        lambda r: [*r, ["notes.txt", "a"]],
        r"notes.txt: not read, since its suffix is not an image's",
    ),
    "a formula": (lambda r: [*r[:-1], [r[-1][0], "=1+1"]], "would be a formula in a spreadsheet"),
    "an unknown split": (
        lambda r: [[*r[0], "split"], *([*x, "trian"] for x in r[1:])],
        "unknown split .*line 2.* the nearest is 'train'",
    ),
    "a split for some": (
        lambda r: [[*r[0], "split"], *([*x, "train" if n else ""] for n, x in enumerate(r[1:]))],
        "has a split for some images only",
    ),
    "a class in one split": (
        lambda r: [[*r[0], "split"], *([*x, "train" if x[1] == "a" else "test"] for x in r[1:])],
        "the class b in .* has only 0 usable images",
    ),
    "a class not in the test part": (
        lambda r: [
            [*r[0], "split"],
            *([*x, "test" if x[1] == "a" and n > 20 else "train"] for n, x in enumerate(r[1:])),
        ],
        "the class b in .* has no usable image in the test part",
    ),
    "a group in two splits": (
        lambda r: [
            [*r[0], "split", "group"],
            *([*x, ("train", "test")[n % 8 > 5], str(n // 4)] for n, x in enumerate(r[1:])),
        ],
        "the group 1 lies in two stated parts, train and test",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_ambiguous_or_wrong_is_refused(pictures, tmp_path, kind):
    (pictures / "notes.txt").write_text("")
    change, message = BAD[kind]
    labels = write(tmp_path / "labels.csv", change(plain_rows()))
    with pytest.raises(UserError, match=message):
        raise UserError(refused(labels, pictures))


@pytest.mark.timeout(20)
def test_what_is_no_csv_is_refused(pictures, tmp_path):
    assert "there is no file of labels at" in refused(tmp_path / "nowhere.csv", pictures)
    os.mkfifo(tmp_path / "pipe.csv")
    assert "there is no file of labels at" in refused(tmp_path / "pipe.csv", pictures)
    (tmp_path / "latin.csv").write_bytes(b"path,class\n1.png,\xe9\n")
    assert "save it as CSV in UTF-8" in refused(tmp_path / "latin.csv", pictures)
    (tmp_path / "empty.csv").write_text("")
    assert "has no column path" in refused(tmp_path / "empty.csv", pictures)


def test_labels_are_for_the_data_set_csv_alone(pictures, tmp_path):
    with pytest.raises(UserError, match=r"csv needs a file of paths and classes; give it with --labels"):
        fresh("csv", pictures)
    with pytest.raises(UserError, match=r"a file of labels is for the data set csv, not for folder"):
        fresh("folder", pictures, labels="x.csv")


def test_images_that_are_not_listed_are_accounted_for(pictures, tmp_path):
    labels = write(tmp_path / "labels.csv", plain_rows(30))
    listing = list_labels(pictures, labels)
    assert len(listing.images) == 30
    assert [tuple(one) for one in listing.ignored][:2] == [
        ("30.png", "not listed in labels.csv"),
        ("31.png", "not listed in labels.csv"),
    ]


@pytest.mark.timeout(20)
def test_other_tables_are_no_split_file(tmp_path):
    for number in range(20):
        noise(tmp_path / "ab"[number % 2] / f"{number}.jpg", number)
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "long.csv").write_text("x" * 200_000)
    assert list_hyper_kvasir(tmp_path) is None
    (tmp_path / "split.csv").write_text(f"file-name;class-name;split-index\n{'x' * 200_000};a;0")
    with pytest.raises(
        UserError, match=r"cannot read .*split.csv: field larger than field limit .*; restore it"
    ):
        list_hyper_kvasir(tmp_path)


def test_a_split_file_that_does_not_say_which_image_it_means_is_refused(tmp_path):
    """By base names, class b's images had the labels of class a."""
    folder = tmp_path / "hyper"
    lines = ["file-name;class-name;split-index"]
    for number in range(20):
        noise(folder / "images" / f"{number}.jpg", number)
        lines.append(f"{number}.jpg;{'ab'[number % 2]};{int(number > 12)}")
    (folder / "split.csv").write_text("\n".join([*lines, "3.jpg;a;0"]))
    with pytest.raises(UserError, match=r"lists 3.jpg in lines 5 and 22; keep one"):
        fresh("kvasir", folder)
    (folder / "split.csv").write_text("\n".join(lines))
    noise(folder / "others" / "3.jpg", 99)
    with pytest.raises(UserError, match=r"line 5: 3.jpg may be images/3.jpg or others/3.jpg; rename one"):
        fresh("kvasir", folder)


@pytest.mark.timeout(20)
def test_a_list_of_gigabytes_and_a_pipe_are_not_read(pictures, tmp_path):
    with (tmp_path / "big.csv").open("wb") as file:
        file.truncate(3 * 2**30)
    assert "big.csv is larger than 128 MiB" in refused(tmp_path / "big.csv", pictures)
    with (pictures / "split.csv").open("wb") as file:
        file.write(b"file-name;class-name;split-index\n")
        file.truncate(3 * 2**30)
    with pytest.raises(UserError, match=r"split\.csv is larger than 128 MiB"):
        list_hyper_kvasir(pictures)
    (pictures / "split.csv").write_text("file-name;class-name;split-index\n" + "x" * 200_000)
    with pytest.raises(UserError, match=r"cannot read .*split\.csv: field larger than"):
        list_hyper_kvasir(pictures)
    (pictures / "split.csv").unlink()
    os.mkfifo(pictures / "split.csv")
    assert list_hyper_kvasir(pictures) is None
