"""Batches of images in a reproducible order."""

from collections.abc import Iterator

import torch
from torch import Generator

from study_common.errors import UserError
from trainables.data.dataset import Split


def batches(
    split: Split, batch_size: int, generator: Generator | None = None, *, drop_last: bool = False
) -> Iterator[Split]:
    """Yield batches of `split`, shuffled by `generator` or, without one, in order.

    Args:
        split: n images and labels.
        batch_size: Images per batch, at least 1. The last batch holds the rest, or is dropped with `drop_last`.
        generator: The shuffle is one draw from it: the same state gives the same batches.
        drop_last: Whether a last, smaller batch is left out.

    Raises:
        UserError: `drop_last` would leave no batch at all.
    """
    total = len(split.labels)
    if drop_last and total < batch_size:
        raise UserError(f"{total} images do not fill one batch of {batch_size}; lower batch_size")
    order = torch.arange(total) if generator is None else torch.randperm(total, generator=generator)
    for indices in order.split(batch_size):
        if drop_last and len(indices) < batch_size:
            return
        chosen = indices.to(split.images.device)
        yield Split(split.images[chosen], split.labels[chosen])
