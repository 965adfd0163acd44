"""Negative controls: maps that know nothing of the model. A model's own maps must score better than these."""

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from trainables.saliency.removal import Background, blurred, seeds_of


def edge(images: Tensor, _: Background) -> Tensor:
    """How steep the image is at each pixel, by Sobel's filters: what an edge detector shows."""
    n, channels, height, width = images.shape
    across = torch.tensor([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]).to(images)
    padded = F.pad(images.reshape(n * channels, 1, height, width), [1] * 4, mode="replicate")
    slopes = F.conv2d(padded, torch.stack([across, across.T])[:, None])
    return slopes.square().sum(1).sqrt().view_as(images).amax(1)


def blurred_image(images: Tensor, background: Background) -> Tensor:
    """The blurred image itself: bright regions count."""
    return blurred(images - background.black).amax(1)


def random(images: Tensor, _: Background) -> Tensor:
    """A random order of the pixels, of each image's own."""
    shape = images.shape[2:]
    maps = [
        torch.rand(shape, generator=torch.Generator().manual_seed(2**32 + seed)) for seed in seeds_of(images)
    ]
    return torch.stack(maps).to(images)


CONTROLS: Mapping[str, Callable[[Tensor, Background], Tensor]] = {
    "edge": edge,
    "blurred_image": blurred_image,
    "random": random,
}
"""Each takes images (n, C, H, W) and the data set's background, and returns maps (n, H, W), 0 or above."""
