"""What the cache holds is listed and removed, by the command that users type."""

import pytest

from study_common.errors import UserError
from tests.conftest import Command
from tests.trainables.data.pictures import fresh, two_classes
from trainables.data.images.cache_files import cache_folder
from trainables.data.images.cached_sets import list_sets, remove_sets


def test_sets_are_listed_and_removed(tmp_path, command: Command):
    folder = two_classes(tmp_path / "set")
    for size in (16, 32):
        fresh("folder", folder, image_size=size)
    first, second = list_sets()
    assert [one.images for one in (first, second)] == [20, 20]
    assert first.source == str(folder)
    assert second.bytes >= 20 * 3 * 32 * 32
    code, out, _ = command("trainables.cache")
    assert code == 0
    assert out.count(f"20 images {tmp_path}/cache/sgt-pact-study/images-v") == 2
    assert out.splitlines()[-1].startswith("kept 2 sets, ")
    code, out, _ = command("trainables.cache", "--clear")
    assert code == 0
    assert out.splitlines()[-1].startswith("removed 2 sets, ")
    assert list_sets() == []
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]
    assert len(fresh("folder", folder, image_size=16).train.labels) == 16


def test_an_empty_cache_is_no_error(command: Command):
    assert command("trainables.cache")[:2] == (
        0,
        command("trainables.cache", "--clear")[1].replace("removed", "kept"),
    )


def test_a_damaged_set_and_one_of_an_earlier_version_are_listed(tmp_path):
    fresh("folder", two_classes(tmp_path / "set"), image_size=16)
    (one,) = list_sets()
    (one.path / "facts.json").write_text("{}")
    old = one.path.parent.with_name("images-v2") / "0123-64"
    old.mkdir(parents=True)
    (old / "train.npy").write_bytes(b"0" * 100)
    assert [(found.images, found.source) for found in list_sets()] == [(0, ""), (0, "")]
    assert len(remove_sets()) == 2
    assert list_sets() == []


@pytest.mark.parametrize("link", ["images-v4", "images-v4/0123-64", "images-v4/0123-64.lock"])
def test_nothing_is_removed_or_changed_through_a_link(link, tmp_path):
    outside, cache = tmp_path / "outside", cache_folder()
    (outside / "0123-64").mkdir(parents=True)
    (outside / "mine.json").write_text("mine")
    (outside / "0123-64" / "train.npy").write_text("mine")
    if link.endswith(".lock"):
        (cache / "images-v4" / "0123-64").mkdir(parents=True)
        (cache / link).symlink_to(outside / "mine.json")
        with pytest.raises(UserError, match=r"0123-64.lock is not a plain file; remove it"):
            remove_sets()
    else:
        (cache / link).parent.mkdir(parents=True)
        (cache / link).symlink_to(outside)
        assert remove_sets() == []
    assert (outside / "mine.json").read_text() == "mine"
    assert (outside / "0123-64" / "train.npy").read_text() == "mine"
