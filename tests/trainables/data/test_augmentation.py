"""Random changes of images against plain loops."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables import Config
from trainables.choices import AUGMENTATIONS
from trainables.data.augmentation import augmentation, flip_turn_and_tint, shift_and_flip


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.integers(2, 6),
    st.integers(2, 6),
    st.integers(0, 3),
    st.booleans(),
)
def test_each_image_is_moved_whole_by_its_own_draw(n, channels, height, width, shift, flip):
    images = torch.randint(1, 255, (n, channels, height, width), generator=seeded(), dtype=torch.uint8)
    moved = shift_and_flip(images, seeded(1), shift=shift, flip=flip)
    assert (moved.shape, moved.dtype) == (images.shape, images.dtype)
    for image, found in zip(images, moved, strict=True):
        canvas = torch.zeros(channels, height + 2 * shift, width + 2 * shift, dtype=torch.uint8)
        canvas[:, shift : shift + height, shift : shift + width] = image
        candidates = [
            canvas[:, top : top + height, left : left + width]
            for top in range(2 * shift + 1)
            for left in range(2 * shift + 1)
        ]
        candidates += [candidate.flip(-1) for candidate in candidates] if flip else []
        assert any(torch.equal(found, candidate) for candidate in candidates)


def test_all_shifts_and_both_mirrorings_occur():
    images = torch.zeros(2000, 1, 5, 5, dtype=torch.uint8)
    images[:, :, 2, 1:3] = torch.tensor([1, 2], dtype=torch.uint8)
    moved = shift_and_flip(images, seeded(), shift=1)
    assert len(moved.flatten(1).unique(dim=0)) == 3 * 3 * 2
    mirrored = sum(int(image[image > 0][0] == 2) for image in moved)
    assert 900 < mirrored < 1100
    again = shift_and_flip(images, seeded(), shift=1)
    assert torch.equal(moved, again)


def test_endoscopy_images_are_turned_and_tinted_by_the_generator_alone():
    images = torch.randint(256, (1, 3, 16, 16), generator=seeded(), dtype=torch.uint8).repeat(20, 1, 1, 1)
    before = torch.get_rng_state()
    changed = flip_turn_and_tint(images, seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    assert torch.equal(changed, flip_turn_and_tint(images, seeded(1)))
    assert not torch.equal(changed, flip_turn_and_tint(images, seeded(2)))
    assert len(changed.flatten(1).unique(dim=0)) == 3  # draws for 20 images, 8 together


@pytest.mark.parametrize(("dataset", "mirrors"), [("mnist", False), ("fashion_mnist", True)])
def test_digits_are_not_mirrored(dataset, mirrors):
    images = torch.zeros(50, 1, 9, 9, dtype=torch.uint8)
    images[:, :, 4, 4:6] = torch.tensor([1, 2], dtype=torch.uint8)
    changed = augmentation(dataset, True)(images, seeded())
    firsts = {int(image[image > 0][0]) for image in changed}
    assert firsts == ({1, 2} if mirrors else {1})
    assert augmentation("kvasir", True) is flip_turn_and_tint


def marked(channels=1):
    """Images with one bright pixel above the middle, left of it."""
    images = torch.zeros(240, channels, 9, 9, dtype=torch.uint8)
    images[:, :, 2, 3] = 200
    return images


def places(images):
    return {tuple(place[1:]) for place in images.nonzero().tolist()}


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["flip_h"], {(0, 2, 3), (0, 2, 5)}),
        (["flip_v"], {(0, 2, 3), (0, 6, 3)}),
        (["flip_v", "flip_h"], {(0, 2, 3), (0, 2, 5), (0, 6, 3), (0, 6, 5)}),
        (["shift"], {(0, y, x) for y in (1, 2, 3) for x in (2, 3, 4)}),
    ],
)
def test_only_what_is_named_is_done(names, expected):
    change = augmentation("folder", names)
    images = change(marked(), seeded())
    assert places(images) == expected
    assert set(images.unique().tolist()) == {0, 200}
    assert torch.equal(images, change(marked(), seeded()))


def test_colour_changes_levels_and_no_place():
    images = augmentation("folder", ["color"])(marked(3), seeded())
    assert places(images) == places(marked(3))
    assert images.amax((1, 2, 3)).unique().numel() > 10


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("augment", [True, *[[name] for name in AUGMENTATIONS]])
def test_grey_and_colour_images_keep_their_shape(channels, augment):
    images = augmentation("folder", augment)(marked(channels), seeded())
    assert (images.shape, images.dtype) == (marked(channels).shape, torch.uint8)


def test_all_that_suits_endoscopy_by_name_is_what_true_does():
    images = torch.randint(256, (20, 3, 16, 16), generator=seeded(), dtype=torch.uint8)
    named = augmentation("fashion_mnist", Config.parse({"augment": "endoscopy"}).augment)
    assert torch.equal(named(images, seeded(1)), augmentation("kvasir", True)(images, seeded(1)))


@pytest.mark.parametrize("nothing", [False, ()])
def test_no_change(nothing):
    assert augmentation("kvasir", nothing) is None
