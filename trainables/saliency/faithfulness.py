"""Faithfulness: does the saliency map point at the pixels that the model uses?

The pixels of an image are ranked by saliency of the predicted logit. The top fraction q is removed (MoRF, most relevant
first), or the bottom fraction q (LeRF, least relevant first), for each q of `FRACTIONS`; f(q) is the share of images
whose predicted class does not change.

    faithfulness = mean over q of (f_LeRF(q) - f_MoRF(q))        in [-1, 1]

0 for a random order and for a constant predictor. No label enters, so accuracy neither helps nor hurts.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from trainables.saliency.attribution import CHUNK
from trainables.saliency.removal import Background, Removal, Sources, seeds_of

FRACTIONS = (0.1, 0.3, 0.5, 0.7, 0.9)
SEED = 0  # of the order among equal values of a map


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """The classes that a model predicts for n images, whole and with a fraction of the pixels removed."""

    predicted: Tensor
    """(n,): of the whole images."""
    lerf: Tensor
    """(n, fractions): without the least salient pixels."""
    morf: Tensor
    """(n, fractions): without the most salient pixels."""

    @cached_property
    def each(self) -> Tensor:
        """The score of every image, (n,) in [-1, 1]."""
        lerf, morf = (
            (classes == self.predicted[:, None]).cpu().double() for classes in (self.lerf, self.morf)
        )
        return (lerf - morf).mean(1)

    @property
    def score(self) -> float:
        """The mean over images, in [-1, 1]."""
        return float(self.each.mean())

    @property
    def standard_error(self) -> float:
        """Of the score, see `standard_error`."""
        return standard_error(self.each)


def standard_error(each: Tensor) -> float:
    """Of the mean of n independent images' values (n,): s / sqrt(n), what a bootstrap over images tends to.

    For the difference of two scores of the same images, `each` holds the differences: they are paired, and most of
    what one image adds to both cancels.

    >>> round(standard_error(torch.tensor([0.0, 1.0, 0.0, 1.0])), 3)
    0.289
    """
    return float(each.std(correction=1) / len(each) ** 0.5)


def faithfulness(
    model: nn.Module, X: Tensor, maps: Tensor, *, removal: Removal, background: Background
) -> Faithfulness:
    """Score saliency maps by one removal.

    Equal values of a map rank in one random order of the positions, the same for MoRF and LeRF: a constant map removes
    the same pixels both ways and scores exactly 0. Both remove to the same values, drawn anew for each fraction.

    Args:
        model: in evaluation mode, from images to logits.
        X: images (n, C, H, W), as the model reads them.
        maps: (n, H, W), of any scale.
        removal: one of `removal.REMOVALS`, or a function like them.
        background: of the data set of X.

    Returns:
        What was predicted, with the score. It takes 1 + 2 * len(FRACTIONS) forward passes per image.
    """
    seeds = seeds_of(X)
    ranks = (_ranks(maps), _ranks(maps, descending=True))
    parts = [
        _classes(model, X[s], [rank[s, None] for rank in ranks], removal, background, seeds[s])
        for s in (slice(start, start + CHUNK) for start in range(0, len(X), CHUNK))
    ]
    lerf, morf = (torch.cat([part[order] for part in parts]) for order in (0, 1))
    return Faithfulness(predicted=predict(model, X), lerf=lerf, morf=morf)


@torch.no_grad()
def predict(model: nn.Module, X: Tensor) -> Tensor:
    """The classes (n,) that the model gives images X (n, C, H, W)."""
    return torch.cat([model(images).argmax(1) for images in X.split(CHUNK)])


def _ranks(maps: Tensor, *, descending: bool = False) -> Tensor:
    """When each pixel of maps (n, H, W) is removed: 0 the first, H * W - 1 the last, of maps' shape."""
    flat = maps.flatten(1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(SEED)).to(maps.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, stable=True, descending=descending)]
    return order.argsort(dim=1).view_as(maps)


@torch.no_grad()
def _classes(
    model: nn.Module,
    X: Tensor,
    ranks: list[Tensor],
    removal: Removal,
    background: Background,
    seeds: list[int],
) -> list[Tensor]:
    """For each order of ranks (n, 1, H, W), the classes predicted without its first fraction q, (n, fractions)."""
    found: list[list[Tensor]] = [[] for _ in ranks]
    for draw, q in enumerate(FRACTIONS):
        sources = Sources(background=background, seeds=[seed + draw for seed in seeds])
        for classes, rank in zip(found, ranks, strict=True):
            removed = rank < round(q * rank[0].numel())
            classes.append(model(removal(X, removed, sources)).argmax(1))
    return [torch.stack(classes, 1) for classes in found]
