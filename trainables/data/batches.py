"""Batches of images: drawn in a reproducible order, and moved about at random for training."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor
from torchvision.transforms import v2

from study_common.errors import UserError
from trainables.data.dataset import FOLDERS, Split

Augmentation = Callable[[Tensor, Generator], Tensor]


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

    Raises
    ------
    ValueError
        if `drop_last` would leave no batch at all.
    """
    total = len(split.labels)
    if drop_last and total < batch_size:
        raise UserError(f"{total} images do not fill one batch of {batch_size}; lower batch_size")
    order = torch.arange(total) if generator is None else torch.randperm(total, generator=generator)
    for indices in order.split(batch_size):
        if drop_last and len(indices) < batch_size:
            return
        yield Split(split.images[indices], split.labels[indices])


def shift_and_flip(images: Tensor, generator: Generator, *, shift: int = 1, flip: bool = True) -> Tensor:
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


def turn_and_tint(images: Tensor, generator: Generator, *, together: int = 8) -> Tensor:
    """Mirror images both ways, turn them by up to 20 degrees, vary their brightness, contrast and colour.

    It suits endoscopy, where no side is up. The corners that come in are black.

    Parameters
    ----------
    images
        (n, 3, H, W) uint8, or float in [0, 1]
    together
        so many images in a row share a draw, which costs less than one for each.
    """
    change = v2.Compose(
        [
            v2.RandomHorizontalFlip(),
            v2.RandomVerticalFlip(),
            v2.RandomRotation(20, interpolation=v2.InterpolationMode.BILINEAR),
            v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
        ]
    )
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # these transforms draw from the global generator
        torch.default_generator.manual_seed(seed)
        return torch.cat([change(group) for group in images.split(together)])


def augmentation(dataset: str) -> Augmentation:
    """Return how the training images of `dataset` may be changed without changing their class."""
    return turn_and_tint if dataset in FOLDERS else partial(shift_and_flip, flip=dataset != "mnist")
