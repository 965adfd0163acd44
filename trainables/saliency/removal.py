"""What a removed pixel becomes: small functions of one signature, `(images, removed, sources)`.

    images    (n, C, H, W), as the model reads them
    removed   bool (n, 1, H, W): these pixels go, from all channels
    sources   what they may be replaced with, see `Sources`

Each returns a new (n, C, H, W) tensor in which all other pixels are as they were. Random values come from a seed of the
image's own content, so that a score of an image does not depend on the images beside it.
"""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
import torch.nn.functional as F
from torch import Tensor

from study_common.errors import UserError
from trainables.saliency.imputation import impute

BLUR = 1 / 8  # of the image's side: the standard deviation of the Gaussian
ROAD_NOISE = 0.01  # of the pixels' range: the standard deviation of the noise on imputed pixels
SMALLEST = 4  # pixels: below this side a tenth of the image is no pixel


@dataclass(frozen=True, kw_only=True)
class Background:
    """The colours and the images of a data set that removed pixels are replaced with, as the model reads them."""

    black: Tensor
    """(1, C, 1, 1): a black pixel."""
    white: Tensor
    """(1, C, 1, 1): a white pixel."""
    donors: Tensor
    """(m, C, H, W): images of the training split, none of those that are scored."""


@dataclass(frozen=True, kw_only=True)
class Sources:
    """What the removed pixels of a batch may be replaced with."""

    background: Background
    seeds: list[int]
    """One for each image of the batch, see `seeds_of`."""

    @cached_property
    def other(self) -> Tensor:
        """(n, C, H, W): another image of the data set for each image."""
        donors = self.background.donors
        return donors[
            [int(torch.randint(len(donors), (), generator=_generator(seed))) for seed in self.seeds]
        ]

    @cached_property
    def noise(self) -> Tensor:
        """(n, C, H, W): uniform in [0, 1)."""
        like = self.background.donors
        return torch.stack(
            [torch.rand(like.shape[1:], generator=_generator(seed)) for seed in self.seeds]
        ).to(like)


Removal = Callable[[Tensor, Tensor, Sources], Tensor]


def mean(images: Tensor, removed: Tensor, _: Sources) -> Tensor:
    """The mean of the training images, which normalisation makes 0."""
    return torch.where(removed, 0.0, images)


def black(images: Tensor, removed: Tensor, sources: Sources) -> Tensor:
    """Black."""
    return torch.where(removed, sources.background.black, images)


def uniform(images: Tensor, removed: Tensor, sources: Sources) -> Tensor:
    """Random values between black and white, which is what SGT trains on by default."""
    background = sources.background
    return torch.where(removed, torch.lerp(background.black, background.white, sources.noise), images)


def other_image(images: Tensor, removed: Tensor, sources: Sources) -> Tensor:
    """The same pixels of another image of the data set: values that are usual at their place."""
    return torch.where(removed, sources.other, images)


def blur(images: Tensor, removed: Tensor, _: Sources) -> Tensor:
    """The same pixels of the same image after a Gaussian blur."""
    return torch.where(removed, blurred(images), images)


def road(images: Tensor, removed: Tensor, sources: Sources) -> Tensor:
    """Imputed from the pixels that are left, with a little noise (ROAD, Rong et al. 2022)."""
    background = sources.background
    gaussian = torch.special.ndtri(sources.noise.clamp(min=1e-6))
    noise = ROAD_NOISE * (background.white - background.black) * gaussian
    return torch.where(removed, impute(images, removed) + noise, images)


REMOVALS: Mapping[str, Removal] = {
    "mean": mean,
    "black": black,
    "uniform": uniform,
    "other_image": other_image,
    "blur": blur,
    "road": road,
}


def blurred(images: Tensor) -> Tensor:
    """Images (n, C, H, W) after a Gaussian blur whose standard deviation is `BLUR` times their smaller side."""
    n, channels, height, width = images.shape
    sigma = BLUR * min(height, width)
    reach = min(round(3 * sigma), min(height, width) - 1)  # the edge is reflected, which gives so many pixels
    bell = torch.exp(-0.5 * (torch.arange(-reach, reach + 1, device=images.device) / sigma) ** 2)
    bell = (bell / bell.sum()).to(images.dtype)
    padded = F.pad(images.reshape(n * channels, 1, height, width), [reach] * 4, mode="reflect")
    return F.conv2d(F.conv2d(padded, bell.view(1, 1, 1, -1)), bell.view(1, 1, -1, 1)).view_as(images)


def seeds_of(images: Tensor) -> list[int]:
    """A seed of the content of each image (n, C, H, W): equal images draw equal numbers.

    >>> seeds_of(torch.zeros(2, 1, 2, 2))
    [3971697493, 3971697493]
    """
    return [zlib.crc32(image.numpy().tobytes()) for image in images.detach().cpu().contiguous()]


def check_size(images: Tensor) -> None:
    """Raise UserError for images (n, C, H, W) that are too small to remove a part of them."""
    height, width = images.shape[2:]
    if min(height, width) < SMALLEST:
        raise UserError(
            f"images of {height}x{width} pixels are too small to measure faithfulness on; use images of "
            f"{SMALLEST}x{SMALLEST} pixels or more"
        )


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
