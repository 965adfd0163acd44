"""Images decoded once, from a cache that is never stale."""

import errno
import os
import resource
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from study_common.errors import UserError
from tests.permissions import open_to_all
from tests.trainables.data.pictures import fresh, noise, refused, rows, two_classes
from trainables.data import Preparation, load_test
from trainables.data.images import image_cache
from trainables.data.images.near_duplicates import nearest_copies, perceptual_hash


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
    open_to_all(tmp_path)
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


def cached(tmp_path):
    (images,) = (tmp_path / "cache").rglob("images.bin")
    return images.parent


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 0xFF
    path.write_bytes(content)


SPOILED = {
    "a flipped pixel": lambda folder: flip(folder / "images.bin", 12345),
    "a flipped pixel under the old time": lambda folder: keep_times(folder / "images.bin", flip, 12345),
    "cut pixels": lambda folder: os.truncate(folder / "images.bin", 100),
    "no pixels": lambda folder: os.truncate(folder / "images.bin", 0),
    "pixels of twice the length": lambda folder: os.truncate(folder / "images.bin", 1_000_000),
    "no file of pixels": lambda folder: (folder / "images.bin").unlink(),
    "flipped facts": lambda folder: flip(folder / "facts.json", 500),
    "a flipped digest of the facts": lambda folder: flip(folder / "facts.json", 3),
    "cut facts": lambda folder: os.truncate(folder / "facts.json", 200),
    "no facts": lambda folder: (folder / "facts.json").unlink(),
    "facts that are a folder": lambda folder: (
        (folder / "facts.json").unlink(),
        (folder / "facts.json").mkdir(),
    ),
    "facts that are a pipe": lambda folder: (
        (folder / "facts.json").unlink(),
        os.mkfifo(folder / "facts.json"),
    ),
}


def keep_times(path, change, *arguments):
    times = path.stat()
    change(path, *arguments)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.mark.timeout(30)
@pytest.mark.parametrize("kind", SPOILED)
def test_a_damaged_cache_is_decoded_again_and_says_so(tmp_path, kind, caplog):
    folder = two_classes(tmp_path / "set")
    before = fresh("folder", folder)
    expected = rows(before.train), rows(before.validation), before.mean, before.fingerprint
    SPOILED[kind](cached(tmp_path))
    after = fresh("folder", folder)
    assert (rows(after.train), rows(after.validation), after.mean, after.fingerprint) == expected
    assert "are damaged; decoding them again" in caplog.text
    caplog.clear()
    assert fresh("folder", folder).fingerprint == before.fingerprint
    assert not caplog.text


@pytest.mark.parametrize("what", ["flipped", "cut", "gone", "nonsense"])
def test_a_damaged_note_of_what_was_verified_only_costs_the_time_to_verify(tmp_path, what, caplog):
    folder = two_classes(tmp_path / "set")
    before = fresh("folder", folder)
    note = cached(tmp_path) / "verified.json"
    match what:
        case "flipped":
            flip(note, 80)
        case "cut":
            os.truncate(note, 10)
        case "gone":
            note.unlink()
        case "nonsense":
            note.write_text("[]")
    assert torch.equal(fresh("folder", folder).train.images, before.train.images)
    assert not caplog.text


@pytest.mark.parametrize("place", [2, 100, 200])
def test_damaged_digests_of_the_files_are_taken_anew(tmp_path, place):
    folder = two_classes(tmp_path / "set")
    before = fresh("folder", folder)
    (index,) = (tmp_path / "cache").rglob("index-*.json")
    flip(index, place)
    assert fresh("folder", folder).fingerprint == before.fingerprint


def test_a_cache_under_the_name_of_another_is_not_believed(tmp_path, caplog):
    one, other = two_classes(tmp_path / "set"), two_classes(tmp_path / "other", 6)
    fresh("folder", one)
    first = cached(tmp_path)
    data = fresh("folder", other)
    (second,) = {path.parent for path in (tmp_path / "cache").rglob("images.bin")} - {first}
    expected = rows(data.train)
    shutil.rmtree(second)
    shutil.copytree(first, second)
    assert rows(fresh("folder", other).train) == expected
    assert "are damaged" in caplog.text


def test_what_a_killed_process_left_is_removed(tmp_path):
    folder = two_classes(tmp_path / "set")
    fresh("folder", folder)
    place = cached(tmp_path)
    place.rename(place.with_name(f".{place.name}.new"))
    fresh("folder", folder)
    assert [path.name for path in place.parent.iterdir() if path.is_dir()] == [place.name]


def test_the_cache_holds_each_pixel_once(tmp_path):
    folder = two_classes(tmp_path / "set")
    fresh("folder", folder, image_size=32)
    files = [path for path in cached(tmp_path).iterdir() if path.suffix == ".bin"]
    assert [path.stat().st_size for path in files] == [20 * 3 * 32 * 32]


def test_a_renamed_copy_shares_the_cache_and_names_its_own_damaged_files(tmp_path):
    folder = two_classes(tmp_path / "set")
    (folder / "class 0" / "bad.png").write_text("no image")
    shutil.copytree(folder, tmp_path / "copy")
    os.rename(tmp_path / "copy" / "class 0" / "bad.png", tmp_path / "copy" / "class 0" / "worse.png")
    fresh("folder", folder, on_bad_image="skip")
    (named,) = fresh("folder", tmp_path / "copy", on_bad_image="skip").left_out
    assert named.startswith("class 0/worse.png: ")
    assert cached(tmp_path)


def test_grey_pictures_have_one_channel_and_three_for_a_model_in_colour(tmp_path):
    for number in range(20):
        noise(tmp_path / "set" / "ab"[number % 2] / f"{number}.png", number, mode="L")
    data = fresh("folder", tmp_path / "set")
    assert data.train.images.shape[1:] == (1, 64, 64)
    assert len(data.mean) == 1
    colour = data.in_colour()
    assert colour.train.images.shape[1:] == (3, 64, 64)
    assert colour.mean == data.mean * 3
    assert torch.equal(colour.train.images[:, 2], data.train.images[:, 0])
    assert colour is data.in_colour()
    noise(tmp_path / "set" / "a" / "colour.png", 99)
    assert fresh("folder", tmp_path / "set").train.images.shape[1:] == (3, 64, 64)


def test_deep_pictures_of_one_set_share_a_scale(tmp_path):
    """Of twelve bits in use in the whole set, a dark picture stays dark."""
    for number in range(12):
        levels = np.full((16, 16), 4000 if number else 400, np.uint16) + np.arange(16, dtype=np.uint16)
        path = tmp_path / "set" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(levels + np.uint16(number)).save(path)
    data = fresh("folder", tmp_path / "set", image_size=16)
    test = load_test("folder", tmp_path / "set", Preparation(image_size=16))
    found = sorted(
        int(image.float().mean()) for split in (data.train, data.validation, test) for image in split.images
    )
    assert found[0] == 400 // 16
    assert set(found[1:]) <= {4000 // 16, 4000 // 16 + 1}


def test_near_duplicates_are_counted_and_kept_together_when_asked(tmp_path, caplog):
    """Each picture comes twice, the second time smaller and compressed again."""
    for number in range(24):
        smooth = np.random.default_rng(number).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(smooth).resize((160, 120), Image.Resampling.BICUBIC)
        folder = tmp_path / "set" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        image.save(folder / f"{number}.png")
        image.resize((96, 72)).save(folder / f"{number}-small.jpg", quality=60)

    def near(split, others):
        def hashes(images):
            return np.array([perceptual_hash(Image.fromarray(i.permute(1, 2, 0).numpy())) for i in images])

        return int((nearest_copies(hashes(split.images), hashes(others.images)) >= 0).sum())

    data = fresh("folder", tmp_path / "set")
    count = near(data.validation, data.train)
    assert count
    assert (
        f"{count} of {len(data.validation.labels)} images for validation look like one in another"
        in caplog.text
    )
    caplog.clear()
    data = fresh("folder", tmp_path / "set", group_near_duplicates=True)
    test = load_test("folder", tmp_path / "set", Preparation(group_near_duplicates=True))
    assert near(data.validation, data.train) == near(test, data.train) == near(test, data.validation) == 0
    assert "look like" not in caplog.text
    assert [len(split.labels) % 2 for split in (data.train, data.validation, test)] == [0, 0, 0]
