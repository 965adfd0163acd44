"""Groups by a pattern over paths, and joined where they touch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import UserError
from tests.trainables.data.pictures import fresh, noise
from trainables.data.listing.groups import joined


def patients(folder, count=12):
    """Three pictures of each patient, in two classes."""
    for patient in range(count):
        for number in range(3):
            noise(folder / "ab"[patient % 2] / f"p{patient:02}_{number}.png", 10 * patient + number)
    return folder


def test_a_pattern_finds_the_group_in_the_path(tmp_path):
    folder = patients(tmp_path / "set")
    alone = fresh("folder", folder)
    data = fresh("folder", folder, group=r"([^/]+)_\d+")
    assert data.fingerprint != alone.fingerprint
    assert len(data.train.labels) % 3 == 0
    assert data.validation.labels.bincount().tolist() == [3, 3]
    assert (
        data.fingerprint == fresh("folder", folder, group=r"p\d\d").fingerprint
    )  # other names, the same groups


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"the group pattern \( is no regular expression"),
        ("(a)(b)", r"has 2 pairs of parentheses; keep one"),
        (r"x(\d+)", r"finds no group in 36 of 36 paths, such as a/p00_0.png; change it"),
        (r"(z?)", r"finds no group in 36 of 36"),
        (
            ".*",
            r"gives each of the 36 images a group of its own, such as a/p00_0.png, which keeps none together; change",
        ),
    ],
)
def test_patterns_that_say_nothing_are_refused(tmp_path, pattern, message):
    folder = patients(tmp_path / "set")
    with pytest.raises(UserError, match=message):
        fresh("folder", folder, group=pattern)


def test_groups_are_for_folders(tmp_path):
    with pytest.raises(
        UserError, match=r"groups are for images in a folder \(kvasir, folder, csv\), not for fashion"
    ):
        fresh("fashion_mnist_small", None, group="x")


def test_groups_that_share_a_picture_count_as_one(tmp_path):
    folder = patients(tmp_path / "set")
    apart = fresh("folder", folder, group=r"([^/]+)_\d+").fingerprint
    (folder / "a" / "p04_9.png").write_bytes((folder / "a" / "p00_0.png").read_bytes())
    assert fresh("folder", folder, group=r"([^/]+)_\d+").fingerprint != apart  # p00 and p04 are joined now


@given(st.integers(1, 20), st.data())
def test_joined_is_what_a_walk_over_the_pairs_finds(count, data):
    items = st.integers(0, count - 1)
    pairs = data.draw(st.lists(st.tuples(items, items), max_size=20))
    found = joined(count, pairs)
    for start in range(count):
        reached, before = {start}, set()
        while reached != before:
            before = set(reached)
            reached |= {b for a, b in pairs if a in before} | {a for a, b in pairs if b in before}
        assert found[start] == min(reached)
