"""Faithfulness: does the saliency map point at the pixels that the model uses?

The pixels of an image are ranked by saliency of the predicted logit. The top fraction q is removed (MoRF), or the
bottom fraction q (LeRF), for q = 0.1 ... 0.9; f(q) is the share of images whose predicted class does not change.

    faithfulness = mean over q of (f_LeRF(q) - f_MoRF(q))        in [-1, 1]

0 for a random order and for a constant predictor. No label enters, so accuracy neither helps nor hurts.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

FRACTIONS = tuple(q / 10 for q in range(1, 10))
CHUNK = 100  # images a forward pass: more fall out of the cache
SEED = 0  # of the random order, and of the order among equal values of a map


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """The classes (n,) that a model predicts for n images, and (n, 9) once each fraction of the pixels is removed."""

    predicted: Tensor
    lerf: Tensor
    morf: Tensor

    @cached_property
    def each(self) -> Tensor:
        """The score of every image, (n,) in [-1, 1]."""
        return (self._kept(self.lerf) - self._kept(self.morf)).mean(1)

    @property
    def score(self) -> float:
        """The mean over images, in [-1, 1]."""
        return self.each.mean().item()

    @property
    def standard_error(self) -> float:
        """Of the score as the mean of n independent images: s / sqrt(n), what a bootstrap over images tends to."""
        return (self.each.std(correction=1) / len(self.each) ** 0.5).item()

    def metrics(self) -> dict[str, float]:
        """The score, its standard error and the number of images, as a trial records them."""
        return {
            "faithfulness": self.score,
            "faithfulness_se": self.standard_error,
            "faithfulness_images": len(self.each),
        }

    def _kept(self, classes: Tensor) -> Tensor:
        return (classes == self.predicted[:, None]).double()


def faithfulness(model: nn.Module, X: Tensor, maps: Tensor, *, fill: float | Tensor = 0.0) -> Faithfulness:
    """Score saliency `maps` (n, H, W) of images X (n, C, H, W), as the model reads them; removed pixels become `fill`.

    Equal values rank in one random order of the positions, alike for MoRF and LeRF: a constant map removes the same
    pixels both ways and scores exactly 0. Two forward passes an image and fraction, 18 in all, and one.
    """
    shuffle = random_order(maps[0].numel())
    flat = maps.flatten(1)[:, shuffle]
    return Faithfulness(
        predicted=removed(model, X, shuffle.expand_as(flat), fill, fractions=(0.0,))[:, 0],
        lerf=removed(model, X, shuffle[flat.argsort(dim=1, stable=True)], fill),
        morf=removed(model, X, shuffle[flat.argsort(dim=1, stable=True, descending=True)], fill),
    )


def random_order(pixels: int) -> Tensor:
    """An order of the pixels that looks at no image, (pixels,)."""
    return torch.randperm(pixels, generator=torch.Generator().manual_seed(SEED))


@torch.no_grad()
def removed(
    model: nn.Module,
    X: Tensor,
    order: Tensor,
    fill: float | Tensor,
    *,
    fractions: tuple[float, ...] = FRACTIONS,
) -> Tensor:
    """The classes predicted once the first fraction q of each image's `order` (n, H * W) is `fill`, (n, fractions)."""
    pixels = order.shape[1]
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(pixels, device=order.device).expand_as(order)
    )
    rank = rank.view(len(X), 1, *X.shape[2:])
    return torch.stack([_classes(model, X, rank < round(q * pixels), fill) for q in fractions], 1)


def _classes(model: nn.Module, X: Tensor, gone: Tensor, fill: float | Tensor) -> Tensor:
    chunks = zip(X.split(CHUNK), gone.split(CHUNK), strict=True)
    return torch.cat([model(torch.where(hidden, fill, images)).argmax(1) for images, hidden in chunks])
