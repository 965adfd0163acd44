"""Faithfulness: does the saliency map point at the pixels that the model uses?

The pixels of an image are ranked by |saliency| of the predicted logit. The top fraction q is removed (MoRF), or the
bottom fraction q (LeRF), for q = 0.1 ... 0.9; f(q) is the share of images whose predicted class does not change.

    faithfulness = mean over q of (f_LeRF(q) - f_MoRF(q))        in [-1, 1]

0 for a random order and for a constant predictor. No label enters, so accuracy neither helps nor hurts.
"""

from dataclasses import dataclass

import torch
from captum.attr import Saliency
from torch import Tensor, nn

FRACTIONS = tuple(q / 10 for q in range(1, 10))
IMAGES = 200  # evaluation images, the same for every trial of a study


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """The score over n images and the curves behind it."""

    score: float
    """In [-1, 1]."""
    standard_error: float
    """Of the score, over images."""
    images: int
    lerf: Tensor
    """f_LeRF(q), (9,)."""
    morf: Tensor
    """f_MoRF(q), (9,)."""


def saliency_maps(model: nn.Module, X: Tensor, target: Tensor) -> Tensor:
    """|d logit_target / d X|, the largest over channels: (n, H, W) from images X (n, C, H, W) and classes (n,)."""
    maps: Tensor = Saliency(model).attribute(X.detach().requires_grad_(), target=target, abs=True)
    return maps.amax(1).detach()


@torch.no_grad()
def faithfulness(model: nn.Module, X: Tensor, maps: Tensor, *, fill: float | Tensor = 0.0) -> Faithfulness:
    """Score saliency `maps` (n, H, W) of images X (n, C, H, W), as the model reads them; removed pixels become `fill`.

    Ties are broken by position, alike for MoRF and LeRF: a constant map removes the same pixels both ways and scores 0.
    Two forward passes an image and fraction, 18 in all.
    """
    predicted = model(X).argmax(1)
    flat = maps.flatten(1)
    lerf = _survival(model, X, flat.argsort(dim=1, stable=True), predicted, fill)
    morf = _survival(model, X, flat.argsort(dim=1, stable=True, descending=True), predicted, fill)
    each = (lerf - morf).mean(1)
    return Faithfulness(
        score=each.mean().item(),
        standard_error=(each.std(correction=1) / len(each) ** 0.5).item(),
        images=len(each),
        lerf=lerf.mean(0),
        morf=morf.mean(0),
    )


def _survival(model: nn.Module, X: Tensor, order: Tensor, predicted: Tensor, fill: float | Tensor) -> Tensor:
    """Whether each image keeps its class when the first fraction q of its `order` is removed, (n, 9) of 0 and 1."""
    pixels = order.shape[1]
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(pixels, device=order.device).expand_as(order)
    )
    rank = rank.view(len(X), 1, *X.shape[2:])
    kept = [model(torch.where(rank < round(q * pixels), fill, X)).argmax(1) == predicted for q in FRACTIONS]
    return torch.stack(kept, 1).float()
