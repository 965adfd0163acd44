"""Between raw pixels and what a network reads: the statistics of a data set, and normalisation by them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_LEVELS = np.arange(256) / 255
_CHUNK = 256
"""Images that are counted at a time."""


def mean_and_std(batches: Iterable[np.ndarray]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and the standard deviation of each channel over batches of images.

    Args:
        batches: (n, C, H, W) uint8 each, at least one image in all.

    Returns:
        Mean and standard deviation, C values each, of pixels in [0, 1]. The deviation of a channel that is the same
        everywhere is 1, because images are divided by it.

    >>> mean_and_std([np.full((2, 1, 4, 4), 51, np.uint8)])
    ((0.2,), (1.0,))
    """
    counts = sum(_level_counts(batch) for batch in batches)
    assert isinstance(counts, np.ndarray), "no images"
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ _LEVELS
    std = np.sqrt((shares @ _LEVELS**2 - mean**2).clip(0))
    std[shares.max(1) == 1] = 1  # rounding leaves some of them just above 0
    return tuple(mean.tolist()), tuple(std.tolist())


def _level_counts(batch: np.ndarray) -> np.ndarray:
    """Count the levels of each channel, (C, 256), a few images at a time: counting makes 8 bytes of each."""
    counts = np.zeros((batch.shape[1], 256))
    for start in range(0, len(batch), _CHUNK):
        channels = np.moveaxis(batch[start : start + _CHUNK], 1, 0)
        counts += [np.bincount(channel.ravel(), minlength=256) for channel in channels]
    return counts


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Normalisation by the mean and the standard deviation of the training images."""

    mean: Tensor
    """(1, C, 1, 1), of pixels in [0, 1]."""
    std: Tensor
    """(1, C, 1, 1), of pixels in [0, 1]."""

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise uint8 images (n, C, H, W) to float32 of the same shape, on the device of `mean`."""
        return (images.to(self.mean.device).float() / 255 - self.mean) / self.std

    def fill(self, kind: str, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        """Return what masked pixels of normalised images become: chosen in raw pixel space, then normalised.

        Args:
            kind: `uniform` in [0, 1], `zero` (black), or the `mean` of the training images.
            generator: Where `uniform` draws from.

        Returns:
            A function of normalised images (n, C, H, W) to values of that shape.
        """

        def uniform(like: Tensor) -> Tensor:
            return (
                torch.rand(like.shape, generator=generator, device=generator.device).to(like.device)
                - self.mean
            ) / self.std

        def zero(like: Tensor) -> Tensor:
            return (-self.mean / self.std).expand_as(like)

        def mean(like: Tensor) -> Tensor:
            return torch.zeros_like(like)

        return {"uniform": uniform, "zero": zero, "mean": mean}[kind]
