"""From raw pixels to what the network reads, and what a masked pixel becomes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Normalisation by the training images' mean and standard deviation, each (1, C, 1, 1), of pixels in [0, 1]."""

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise uint8 images (n, C, H, W) to float32 of the same shape."""
        return (images.to(self.mean.device).float() / 255 - self.mean) / self.std

    def fill(self, kind: str, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
        """Values for masked pixels of normalised images: chosen in raw pixel space, then normalised."""

        def uniform(like: Tensor) -> Tensor:
            return (torch.rand(like.shape, generator=generator).to(like.device) - self.mean) / self.std

        def zero(like: Tensor) -> Tensor:
            return (-self.mean / self.std).expand_as(like)

        def mean(like: Tensor) -> Tensor:
            return torch.zeros_like(like)

        return {"uniform": uniform, "zero": zero, "mean": mean}[kind]
