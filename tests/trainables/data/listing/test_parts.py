"""Which images are for training, for validation and for testing."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import UserError
from tests.trainables.data.listing.test_folder_listing import parts
from tests.trainables.data.listing.test_groups import patients
from tests.trainables.data.pictures import fresh, noise, rows, rows_of
from trainables.data import load_test
from trainables.data.listing.folder_listing import PARTS, ListedImage, Listing
from trainables.data.listing.parts import MOST, SHARE, split


@pytest.mark.parametrize("names", [("train", "val", "test"), ("Training", "Validation", "Testing")])
def test_three_stated_parts_are_used_as_they_are(tmp_path, names):
    folder = parts(tmp_path / "set", *names)
    data, test = fresh("folder", folder), load_test("folder", folder)
    assert data.class_names == ("a", "b")
    for part, name in zip((data.train, data.validation, test), names, strict=True):
        assert rows(part) == rows_of(sorted((folder / name).rglob("*.png")), "ab")


def test_a_missing_validation_part_comes_from_the_training_part_alone(tmp_path):
    folder = parts(tmp_path / "set", "Training", "Testing", each=10)
    data, test = fresh("folder", folder), load_test("folder", folder)
    assert rows(test) == rows_of(sorted((folder / "Testing").rglob("*.png")), "ab")
    assert rows(data.train) + rows(data.validation) == rows_of(
        sorted((folder / "Training").rglob("*.png")), "ab"
    )
    assert data.validation.labels.bincount().tolist() == [2, 2]


def test_a_test_part_larger_than_the_training_part_leaves_most_of_that(tmp_path):
    folder = parts(tmp_path / "set", "train", each=10)
    for number in range(150):
        noise(folder / "test" / "ab"[number % 2] / f"{number}.png", 1000 + number)
    data = fresh("folder", folder)
    assert data.train.labels.bincount().tolist() == [8, 8]
    assert data.validation.labels.bincount().tolist() == [2, 2]


def test_too_few_groups_of_a_class_are_refused_by_name(tmp_path):
    folder = patients(tmp_path / "set", 5)
    with pytest.raises(
        UserError, match=r"the class b in .* has images in too few groups for train, validation, test"
    ):
        fresh("folder", folder, group=r"([^/]+)_\d+")


def listed(labels, stated=None):
    """A listing of images of these labels, in these parts."""
    stated = stated or [""] * len(labels)
    images = tuple(
        ListedImage(file=None, label=label, part=part) for label, part in zip(labels, stated, strict=True)
    )
    names = tuple(f"c{label}" for label in range(max(labels) + 1))
    return Listing(root=Path("root"), class_names=names, images=images)


def divide(labels, stated=None, *, usable=None, groups=None):
    listing = listed(labels, stated)
    usable = np.arange(len(labels)) if usable is None else np.asarray(usable)
    return split(listing, listing.images, usable, None if groups is None else np.asarray(groups))


LABELS = st.lists(st.integers(0, 3), max_size=60).map(lambda some: some + [0, 1, 2, 3] * 3)


@given(LABELS)
def test_every_image_is_in_one_part_and_every_class_in_each_part(labels):
    found = divide(labels)
    assert list(found) == list(PARTS)
    assert sorted(np.concatenate(list(found.values()))) == list(range(len(labels)))
    for indices in found.values():
        assert np.array_equal(indices, np.sort(indices))
        assert set(np.array(labels)[indices]) == {0, 1, 2, 3}


@given(LABELS)
def test_parts_that_are_drawn_have_a_tenth_each_or_one_image_of_every_class(labels):
    found = divide(labels)
    for name in ("validation", "test"):
        drawn, count = len(found[name]), round(SHARE * len(labels))
        assert count <= drawn <= max(count, 4) or drawn <= count + 3


@given(st.lists(st.sampled_from(["train", "test"]), min_size=20, max_size=40))
def test_what_is_stated_stays_and_validation_comes_from_the_training_part(stated):
    stated = [*stated, *["train"] * 6, "test", "test"]
    labels = [number % 2 for number in range(len(stated))]
    found = divide(labels, stated)
    assert found["test"].tolist() == [k for k, part in enumerate(stated) if part == "test"]
    given_ = [k for k, part in enumerate(stated) if part == "train"]
    assert sorted([*found["train"], *found["validation"]]) == given_
    assert len(found["validation"]) <= max(round(MOST * len(given_)), 2)


def test_only_usable_images_are_divided():
    found = divide([0, 1] * 10, usable=range(4, 20))
    assert sorted(np.concatenate(list(found.values()))) == list(range(4, 20))


def test_a_group_stays_in_one_part():
    groups = np.repeat(np.arange(20), 3)
    found = divide([group % 2 for group in groups], groups=groups)
    members = [set(groups[indices]) for indices in found.values()]
    assert sum(map(len, members)) == len(set().union(*members)) == 20


def test_a_class_with_fewer_images_than_parts_is_named():
    with pytest.raises(UserError, match="the class c1 in root has only 2 usable images, not 3; add some"):
        divide([0] * 10 + [1] * 2)


def test_a_class_missing_from_a_stated_part_is_named_with_the_part():
    stated = ["train", "train", "validation", "validation", "test", "test"]
    with pytest.raises(UserError, match="the class c1 in root has no usable image in the test part"):
        divide([0, 1, 0, 1, 0, 0], stated)
