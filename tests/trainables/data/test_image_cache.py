"""Images decoded once, from a cache that is never stale."""

import errno
import os
import resource
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from study_common.errors import UserError
from tests.trainables.data.pictures import fresh, noise, refused, two_classes
from trainables.data import Preparation, image_cache, load_test


def test_a_cached_set_is_not_decoded_again_and_a_changed_one_is(tmp_path):
    folder = two_classes(tmp_path / "set")
    first = fresh("folder", folder)
    (built,) = (tmp_path / "cache").rglob("images.bin")
    stamp = built.stat().st_mtime_ns
    assert fresh("folder", folder).fingerprint == first.fingerprint
    assert built.stat().st_mtime_ns == stamp
    noise(folder / "class 0" / "new.png", 99)
    second = fresh("folder", folder)
    assert second.fingerprint != first.fingerprint
    assert len(second.train.labels) == len(first.train.labels) + 1
    noise(folder / "class 0" / "new.png", 100)  # as many bytes or not: a new time of change
    assert fresh("folder", folder).fingerprint not in (first.fingerprint, second.fingerprint)


def test_one_of_many_decodes_and_the_others_wait(tmp_path, caplog):
    folder = two_classes(tmp_path / "set")
    (folder / "class 0" / "copy.png").write_bytes((folder / "class 0" / "4.png").read_bytes())
    with ThreadPoolExecutor(4) as pool:
        datas = list(pool.map(lambda _: fresh("folder", folder), range(4)))
    assert len({data.fingerprint for data in datas}) == 1
    assert caplog.text.count("left out class 0/copy.png") == 4  # also by those that found it decoded


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
        patch.setattr(image_cache, "read", fail)
        with pytest.raises(UserError, match=r"png cannot be read now .*; try again"):
            fresh("folder", folder, on_bad_image="skip")
    assert fresh("folder", folder).left_out == ()


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
