"""Image folders: which files, which split, decoded how, from a cache that is never stale."""

import errno
import os
import resource
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from study_common.errors import UserError
from tests.make_kvasir import make
from trainables.data import Preparation, image_cache, load, load_test
from trainables.data.folder_listing import KVASIR
from trainables.training.inputs import scale_of

SMALL = ((180, 144), (320, 256))


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def kvasir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kvasir")
    make(folder, 10, SMALL)
    return folder


def noise(path, seed, size=(40, 32), mode="RGB"):
    shape = (*reversed(size), *([] if mode == "L" else [len(mode)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode).save(path)
    return path


def two_classes(folder, each=10):
    for number in range(2 * each):
        noise(folder / f"class {number % 2}" / f"{number}.png", number)
    return folder


def fresh(name, folder, **preparation):
    """Load as a new process would: nothing kept in memory."""
    load.cache_clear()
    return load(name, folder, Preparation(**preparation))


def rows(split):
    return Counter(zip(map(bytes, split.images.flatten(1).numpy()), split.labels.tolist(), strict=True))


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


def test_a_cached_set_is_not_decoded_again_and_a_changed_one_is(tmp_path):
    folder = two_classes(tmp_path / "set")
    first = fresh("folder", folder)
    (built,) = (tmp_path / "cache").rglob("train.npy")
    stamp = built.stat().st_mtime_ns
    assert fresh("folder", folder).fingerprint == first.fingerprint
    assert built.stat().st_mtime_ns == stamp
    noise(folder / "class 0" / "new.png", 99)
    second = fresh("folder", folder)
    assert second.fingerprint != first.fingerprint
    assert len(second.train.labels) == len(first.train.labels) + 1
    noise(folder / "class 0" / "new.png", 100)  # as many bytes or not: a new time of change
    assert fresh("folder", folder).fingerprint not in (first.fingerprint, second.fingerprint)


def test_writing_into_a_batch_or_the_images_leaves_the_cache_alone(tmp_path):
    folder = two_classes(tmp_path / "set")
    data = fresh("folder", folder)
    before = data.train.images.clone()
    data.train.images.zero_()
    assert torch.equal(fresh("folder", folder).train.images, before)


def test_duplicates_are_used_once_and_reported(tmp_path):
    folder = two_classes(tmp_path / "set")
    plain = fresh("folder", folder)
    (folder / "class 0" / "copy.png").write_bytes((folder / "class 0" / "4.png").read_bytes())
    data = fresh("folder", folder)
    assert rows(data.train) == rows(plain.train)
    assert data.left_out == ("class 0/copy.png: the same image as class 0/4.png",)


def test_one_of_many_decodes_and_the_others_wait(tmp_path, caplog):
    folder = two_classes(tmp_path / "set")
    (folder / "class 0" / "copy.png").write_bytes((folder / "class 0" / "4.png").read_bytes())
    with ThreadPoolExecutor(4) as pool:
        datas = list(pool.map(lambda _: fresh("folder", folder), range(4)))
    assert len({data.fingerprint for data in datas}) == 1
    assert caplog.text.count("left out class 0/copy.png") == 4  # also by those that found it decoded


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


DAMAGE = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_text("no image"),
    "a broken link": lambda path: (path.unlink(), path.symlink_to(path.parent / "nowhere.jpg")),
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_image_is_named_and_refused_or_skipped(kind, tmp_path, caplog):
    folder = two_classes(tmp_path / "set")
    path = folder / "class 1" / "ü b.jpg"
    Image.effect_noise((200, 150), 50).convert("RGB").save(path)
    DAMAGE[kind](path)
    for _ in range(2):  # from the files, and from the cache
        with pytest.raises(
            ValueError, match=r"1 of 21 images .* cannot be used \(class 1/ü b.jpg: .*on_bad_image=skip"
        ):
            fresh("folder", folder)
    data = fresh("folder", folder, on_bad_image="skip")
    assert len(data.train.labels) == 16
    assert [text.partition(":")[0] for text in data.left_out] == ["class 1/ü b.jpg"]
    assert "left out class 1/ü b.jpg" in caplog.text


def test_a_disk_that_fails_once_damages_no_image(tmp_path, monkeypatch):
    folder = two_classes(tmp_path / "set")

    def fail(*_, **__):
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(image_cache, "decode", fail)
        with pytest.raises(UserError, match=r"png cannot be read now .*; try again"):
            fresh("folder", folder, on_bad_image="skip")
    assert fresh("folder", folder).left_out == ()


def test_a_class_name_that_is_not_utf8_is_refused(tmp_path):
    folder = two_classes(tmp_path / "set")
    os.rename(folder / "class 1", os.fsencode(folder / "ulc") + b"\xe8re")
    assert "is not UTF-8; rename it" in refused("folder", folder)


def refused(name, folder, **preparation):
    with pytest.raises(UserError, match=r".") as info:
        fresh(name, folder, **preparation)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read")
def test_an_unreadable_file_and_folder_are_named(tmp_path):
    folder = two_classes(tmp_path / "set")
    fresh("folder", folder)
    for path in (tmp_path, *tmp_path.parents[:2]):
        path.chmod(0o755)
    for path in (tmp_path / "cache").rglob("*"):
        path.chmod(0o777)
    (folder / "class 0" / "4.png").chmod(0)
    (folder / "class 0" / "4.png").touch()
    os.setresuid(65534, 65534, 0)
    try:
        assert "cannot be used (class 0/4.png: Permission denied)" in refused("folder", folder)
        os.setresuid(0, 0, 0)
        (folder / "class 1").chmod(0)
        os.setresuid(65534, 65534, 0)
        assert f"the folder {folder / 'class 1'} may not be read" in refused("folder", folder)
        os.setresuid(0, 0, 0)
        (folder / "class 1").chmod(0o755)
        noise(folder / "class 1" / "deeper" / "0.png", 99)
        (folder / "class 1" / "deeper").chmod(0)
        os.setresuid(65534, 65534, 0)
        assert f"the folder {folder / 'class 1/deeper'} may not be read" in refused("folder", folder)
        os.setresuid(0, 0, 0)
        folder.chmod(0)
        os.setresuid(65534, 65534, 0)
        assert f"the folder {folder} may not be read" in refused("folder", folder)
    finally:
        os.setresuid(0, 0, 0)


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


def test_small_and_twin_classes(tmp_path):
    folder = two_classes(tmp_path / "set", each=3)
    assert sorted(fresh("folder", folder).train.labels.tolist()) == [0, 1]
    (folder / "class 1" / "1.png").unlink()
    assert "the class class 1 in" in refused("folder", folder)
    assert "has only 2 usable images, not 3" in refused("folder", folder)
    for path in (folder / "class 0").iterdir():
        (folder / "class 2").mkdir(exist_ok=True)
        (folder / "class 2" / f"other {path.name}").write_bytes(path.read_bytes())
    assert "the classes class 0 and class 2" in refused("folder", folder)


@pytest.mark.parametrize("few", [3, 4, 6])
def test_a_class_of_few_images_is_in_every_split(tmp_path, few):
    for number in range(100):
        noise(tmp_path / "set" / ("rare" if number < few else "usual") / f"{number}.png", number, (8, 8), "L")
    data, test = (
        fresh("folder", tmp_path / "set", image_size=8),
        load_test("folder", tmp_path / "set", Preparation(image_size=8)),
    )
    splits = (data.train, data.validation, test)
    rare, usual = zip(*(split.labels.bincount().tolist() for split in splits), strict=True)
    assert rare == (few - 2, 1, 1)
    assert sum(usual) == 100 - few
    assert {9, 10} >= set(usual[1:])


def test_a_constant_channel_has_a_scale(tmp_path):
    for number, label in enumerate("ab" * 3):
        pixels = np.asarray(Image.open(noise(tmp_path / "set" / label / f"{number}.png", number))).copy()
        pixels[:, :, 1] = 77
        Image.fromarray(pixels).save(tmp_path / "set" / label / f"{number}.png")
    data = fresh("folder", tmp_path / "set")
    scaled = scale_of(data, torch.device("cpu"))(data.train.images)
    assert data.mean[1] == pytest.approx(77 / 255)
    assert scaled.isfinite().all()
    assert scaled[:, 1].abs().max() < 1e-6


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


def test_no_room_for_the_cache(tmp_path, monkeypatch):
    folder = two_classes(tmp_path / "set")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        assert "File too large; set XDG_CACHE_HOME" in refused("folder", folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list((tmp_path / "cache").rglob("*.npy"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert "cannot keep decoded images in" in refused("folder", folder)


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
