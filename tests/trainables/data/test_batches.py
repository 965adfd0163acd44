"""Batches against plain loops."""

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from study_common.errors import UserError
from trainables.data import Split, batches


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


def test_fewer_images_than_a_batch():
    with pytest.raises(UserError, match="5 images do not fill one batch of 6; lower batch_size"):
        next(batches(numbered(5), 6, drop_last=True))
