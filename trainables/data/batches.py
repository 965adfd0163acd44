"""Batches of images in a reproducible order, and the random changes that training makes to them."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from study_common.errors import UserError
from trainables.data.dataset import FOLDERS, Split

Augmentation = Callable[[Tensor, Generator], Tensor]


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


def shift_and_flip(images: Tensor, generator: Generator, *, shift: int = 1, flip: bool = True) -> Tensor:
    """Shift each image by up to `shift` pixels in both directions, filled with black, and mirror every second one.

    Args:
        images: (n, C, H, W), of any type.
        generator: Each image has its own draw.
        shift: Pixels, 0 or more.
        flip: Mirror left and right with probability 1/2; False where that changes the class, as with digits.

    Returns:
        (n, C, H, W), a copy.
    """
    n, _, height, width = images.shape
    down, across = torch.randint(2 * shift + 1, (2, n), generator=generator).to(images.device)
    windows = (
        F.pad(images, [shift] * 4).unfold(2, height, 1).unfold(3, width, 1)
    )  # (n, C, down, across, H, W)
    moved = windows[torch.arange(n, device=images.device), :, down, across]
    if not flip:
        return moved
    mirrored = torch.randint(2, (n, 1, 1, 1), generator=generator, dtype=torch.bool)
    return torch.where(mirrored.to(images.device), moved.flip(-1), moved)


def turn_and_tint(images: Tensor, generator: Generator, *, together: int = 8) -> Tensor:
    """Flip images in both directions, rotate them by up to 20 degrees, vary brightness, contrast and colour.

    It suits endoscopy, where no side is up. Rotation fills corners with black.

    Args:
        images: (n, 3, H, W) uint8, or float in [0, 1].
        generator: One draw from it seeds all changes.
        together: Images in a row that share a draw, which costs less than one draw per image.

    Returns:
        (n, 3, H, W), of the type of `images`.
    """
    from torchvision.transforms import v2  # here, because importing it takes as long as importing torch

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
