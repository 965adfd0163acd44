"""Batches and augmentation against plain loops."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from study_common.errors import UserError
from trainables.data import Split, augmentation, batches, shift_and_flip, turn_and_tint


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def numbered(n):
    return Split(torch.arange(n, dtype=torch.uint8)[:, None, None, None], torch.arange(n))


@given(st.integers(1, 40), st.integers(1, 12), st.booleans(), st.booleans())
def test_an_epoch_holds_each_image_once(n, size, shuffle, drop_last):
    assume(n >= size or not drop_last)
    drawn = list(batches(numbered(n), size, seeded() if shuffle else None, drop_last=drop_last))
    labels = torch.cat([batch.labels for batch in drawn])
    assert all(torch.equal(batch.images.flatten(), batch.labels) for batch in drawn)
    assert labels.unique().numel() == labels.numel() == (n - n % size if drop_last else n)
    assert all(len(batch.labels) == size for batch in drawn[: None if drop_last else -1])
    if not shuffle:
        assert torch.equal(labels, torch.arange(labels.numel()))


def test_the_generator_alone_decides_the_order():
    def labels(generator):
        return torch.cat([batch.labels for batch in batches(numbered(100), 16, generator)])

    generator = seeded()
    first, second = labels(generator), labels(generator)
    assert not torch.equal(first, second)
    assert torch.equal(first, labels(seeded()))


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


def test_fewer_images_than_a_batch():
    with pytest.raises(UserError, match="5 images do not fill one batch of 6; lower batch_size"):
        next(batches(numbered(5), 6, drop_last=True))


def test_endoscopy_images_are_turned_and_tinted_by_the_generator_alone():
    images = torch.randint(256, (1, 3, 16, 16), generator=seeded(), dtype=torch.uint8).repeat(20, 1, 1, 1)
    before = torch.get_rng_state()
    changed = turn_and_tint(images, seeded(1))
    assert torch.equal(torch.get_rng_state(), before)
    assert (changed.shape, changed.dtype) == (images.shape, images.dtype)
    assert torch.equal(changed, turn_and_tint(images, seeded(1)))
    assert not torch.equal(changed, turn_and_tint(images, seeded(2)))
    assert len(changed.flatten(1).unique(dim=0)) == 3  # draws for 20 images, 8 together


@pytest.mark.parametrize(("dataset", "mirrors"), [("mnist", False), ("fashion_mnist", True)])
def test_digits_are_not_mirrored(dataset, mirrors):
    images = torch.zeros(50, 1, 9, 9, dtype=torch.uint8)
    images[:, :, 4, 4:6] = torch.tensor([1, 2], dtype=torch.uint8)
    changed = augmentation(dataset)(images, seeded())
    firsts = {int(image[image > 0][0]) for image in changed}
    assert firsts == ({1, 2} if mirrors else {1})
    assert augmentation("kvasir") is turn_and_tint
