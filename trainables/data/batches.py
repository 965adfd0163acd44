"""Batches of images: drawn in a reproducible order, and moved about at random for training."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from trainables.data.dataset import Split


def batches(
    split: Split, batch_size: int, generator: Generator | None = None, *, drop_last: bool = False
) -> Iterator[Split]:
    """Yield batches of `split`, shuffled by `generator` or, without one, in order.

    Parameters
    ----------
    batch_size
        images of a batch, at least 1; the last batch holds what is left, or is dropped with `drop_last`.
    generator
        the shuffle is one draw from it: the same state gives the same batches.
    """
    total = len(split.labels)
    order = torch.arange(total) if generator is None else torch.randperm(total, generator=generator)
    for indices in order.split(batch_size):
        if drop_last and len(indices) < batch_size:
            return
        yield Split(split.images[indices], split.labels[indices])


def shift_and_flip(images: Tensor, generator: Generator, *, shift: int = 2, flip: bool = True) -> Tensor:
    """Move each image by up to `shift` pixels both ways, black coming in, and mirror every other one.

    Parameters
    ----------
    images
        (n, C, H, W), of any type.
    flip
        mirror left and right with probability 1/2; leave it out where that changes the class, as with digits.

    Returns
    -------
    (n, C, H, W), a copy. Each image has its own draw.
    """
    n, _, height, width = images.shape
    down, across = torch.randint(2 * shift + 1, (2, n), generator=generator)
    windows = (
        F.pad(images, [shift] * 4).unfold(2, height, 1).unfold(3, width, 1)
    )  # (n, C, down, across, H, W)
    moved = windows[torch.arange(n), :, down, across]
    if not flip:
        return moved
    mirrored = torch.randint(2, (n, 1, 1, 1), generator=generator, dtype=torch.bool)
    return torch.where(mirrored, moved.flip(-1), moved)
