"""Faithfulness: does the saliency map point at the pixels that the model uses?

The pixels of an image are ranked by saliency of the predicted logit. The top fraction q is removed (MoRF), or the
bottom fraction q (LeRF), for q = 0.1 ... 0.9; f(q) is the share of images whose predicted class does not change.

    faithfulness = mean over q of (f_LeRF(q) - f_MoRF(q))        in [-1, 1]

0 for a random order and for a constant predictor. No label enters, so accuracy neither helps nor hurts.
"""

from dataclasses import dataclass
from functools import cached_property

import pandas as pd
import torch
from torch import Tensor, nn

from trainables.saliency.attribution import CHUNK

FRACTIONS = tuple(q / 10 for q in range(1, 10))
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
        lerf, morf = ((classes == self.predicted[:, None]).double() for classes in (self.lerf, self.morf))
        return (lerf - morf).mean(1)

    @property
    def score(self) -> float:
        """The mean over images, in [-1, 1]."""
        return self.each.mean().item()

    @property
    def standard_error(self) -> float:
        """Of the score as the mean of n independent images: s / sqrt(n), what a bootstrap over images tends to."""
        return float(self.each.std(correction=1) / len(self.each) ** 0.5)

    def metrics(self) -> dict[str, float]:
        """The score, its standard error and the number of images, as a trial records them."""
        return {
            "faithfulness": self.score,
            "faithfulness_se": self.standard_error,
            "faithfulness_images": len(self.each),
        }


def faithfulness(model: nn.Module, X: Tensor, maps: Tensor, *, fill: float | Tensor = 0.0) -> Faithfulness:
    """Score saliency `maps` (n, H, W) of images X (n, C, H, W), as the model reads them; removed pixels become `fill`.

    `fill` is one value or an image of values, of a shape that X's can take. Equal values of a map rank in one random
    order of the positions, alike for MoRF and LeRF: a constant map removes the same pixels both ways and scores
    exactly 0. 19 forward passes an image.
    """
    return Faithfulness(
        predicted=predict(model, X),
        lerf=_classes(model, X, _ranks(maps), fill),
        morf=_classes(model, X, _ranks(maps, descending=True), fill),
    )


@torch.no_grad()
def predict(model: nn.Module, X: Tensor) -> Tensor:
    """The classes (n,) that the model gives images X (n, C, H, W)."""
    return torch.cat([model(images).argmax(1) for images in X.split(CHUNK)])


def curves(
    model: nn.Module, X: Tensor, labels: Tensor, found: Faithfulness, *, fill: float | Tensor = 0.0
) -> pd.DataFrame:
    """The removal curves of `found` on images X with labels (n,), beside a random order of each image's pixels.

    Rows for each order (morf, lerf, random) and fraction (0.0, 0.1, ... 0.9) removed: `kept`, the share of images
    that keep their predicted class, and `accuracy`. 9 forward passes an image.
    """
    noise = torch.rand(len(X), *X.shape[2:], generator=torch.Generator().manual_seed(SEED))
    orders = {
        "morf": found.morf,
        "lerf": found.lerf,
        "random": _classes(model, X, _ranks(noise.to(X.device)), fill),
    }
    rows = [
        {
            "order": order,
            "fraction": fraction,
            "kept": (classes == found.predicted).float().mean().item(),
            "accuracy": (classes == labels).float().mean().item(),
        }
        for order, removed in orders.items()
        for fraction, classes in zip((0.0, *FRACTIONS), (found.predicted, *removed.T), strict=True)
    ]
    return pd.DataFrame(rows)


def _ranks(maps: Tensor, *, descending: bool = False) -> Tensor:
    """When each pixel of maps (n, H, W) is removed: 0 the first, H * W - 1 the last, of maps' shape."""
    flat = maps.flatten(1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(SEED)).to(maps.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, stable=True, descending=descending)]
    return order.argsort(dim=1).view_as(maps)


@torch.no_grad()
def _classes(model: nn.Module, X: Tensor, ranks: Tensor, fill: float | Tensor) -> Tensor:
    """The classes predicted once the first fraction q of the pixels is `fill`, (n, 9)."""
    pixels = ranks[0].numel()
    filled = torch.as_tensor(fill, dtype=X.dtype, device=X.device).expand_as(X)
    chunks = zip(X.split(CHUNK), ranks[:, None].split(CHUNK), filled.split(CHUNK), strict=True)
    return torch.cat([
        torch.stack([model(torch.where(rank < round(q * pixels), gone, images)).argmax(1) for q in FRACTIONS], 1)
        for images, rank, gone in chunks
    ])  # fmt: skip
