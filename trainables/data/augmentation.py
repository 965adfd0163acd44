"""The random changes that training makes to images, which must not change their class."""

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from trainables.data.image_folder import FOLDERS

Augmentation = Callable[[Tensor, Generator], Tensor]

_TRANSFORMS = ("flip_h", "flip_v", "rotate", "color")
"""The changes that torchvision makes, in their order."""


def augmentation(dataset: str, augment: bool | Sequence[str]) -> Augmentation | None:
    """Return how the training images of a data set are changed.

    Args:
        dataset: One of `choices.DATASETS`.
        augment: Names of `choices.AUGMENTATIONS`. True is what suits the data set: a shift for `mnist`, a shift and
            flips for `fashion_mnist`, and for folders all but a shift, as for endoscopy, where no side is up. False or
            no names is no change.

    Returns:
        A function of images (n, C, H, W), uint8 or float in [0, 1], and a generator; None for no change.
    """
    if augment is True:
        return flip_turn_and_tint if dataset in FOLDERS else partial(shift_and_flip, flip=dataset != "mnist")
    if not augment:
        return None
    names = [name for name in _TRANSFORMS if name in augment]

    def change(images: Tensor, generator: Generator) -> Tensor:
        if "shift" in augment:
            images = shift_and_flip(images, generator, flip=False)
        return flip_turn_and_tint(images, generator, names) if names else images

    return change


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


def flip_turn_and_tint(
    images: Tensor, generator: Generator, names: Sequence[str] = _TRANSFORMS, *, together: int = 8
) -> Tensor:
    """Flip images in both directions, rotate them by up to 20 degrees, vary brightness, contrast and colour.

    Rotation fills corners with black.

    Args:
        images: (n, C, H, W) uint8, or float in [0, 1]; C is 1 or 3.
        generator: One draw from it seeds all changes.
        names: Which of flip_h, flip_v, rotate and color, in this order.
        together: Images in a row that share a draw, which costs less than one draw per image.

    Returns:
        (n, C, H, W), of the type of `images`.
    """
    from torchvision.transforms import v2  # here, because importing it takes as long as importing torch

    transforms = {
        "flip_h": v2.RandomHorizontalFlip(),
        "flip_v": v2.RandomVerticalFlip(),
        "rotate": v2.RandomRotation(20, interpolation=v2.InterpolationMode.BILINEAR),
        "color": v2.ColorJitter(brightness=0.2, contrast=0.2, saturation=0.2),
    }
    change = v2.Compose([transforms[name] for name in names])
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):  # these transforms draw from the global generator
        torch.default_generator.manual_seed(seed)
        return torch.cat([change(group) for group in images.split(together)])
