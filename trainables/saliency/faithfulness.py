"""Faithfulness: does the saliency map point at the pixels that the model uses?

The pixels of an image are ranked by saliency of the predicted logit. The top fraction q is removed (MoRF, most relevant
first), or the bottom fraction q (LeRF, least relevant first), for each q of `FRACTIONS`; p(q) is the probability that
the model then gives the class that it predicted for the whole image.

    faithfulness = mean over images and q of (p_LeRF(q) - p_MoRF(q))        in [-1, 1]

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
class Answers:
    """What a model says of n images without a fraction of their pixels."""

    classes: Tensor
    """(n, fractions): the class that it predicts."""
    probability: Tensor
    """(n, fractions) in [0, 1]: of the class that it predicts for the whole image."""


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """What a model says of n images, whole and with a fraction of the pixels removed."""

    predicted: Tensor
    """(n,): the classes of the whole images."""
    confidence: Tensor
    """(n,) in [0, 1]: the probabilities of these classes."""
    lerf: Answers
    """Without the least salient pixels."""
    morf: Answers
    """Without the most salient pixels."""

    @cached_property
    def each(self) -> Tensor:
        """The score of every image, (n,) in [-1, 1]: by the probability of the predicted class."""
        return (self.lerf.probability - self.morf.probability).cpu().double().mean(1)

    @cached_property
    def kept(self) -> Tensor:
        """The same, (n,) in [-1, 1], by whether the predicted class stays."""
        lerf, morf = (
            (answers.classes == self.predicted[:, None]).cpu().double() for answers in (self.lerf, self.morf)
        )
        return (lerf - morf).mean(1)

    @property
    def score(self) -> float:
        """The mean over images, in [-1, 1]."""
        return float(self.each.mean())

    @property
    def standard_error(self) -> float:
        """The standard error of the score, see `standard_error`."""
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
    model: nn.Module,
    X: Tensor,
    maps: Tensor,
    *,
    removal: Removal,
    background: Background,
    whole: Tensor | None = None,
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
        whole: what the model answers to X, (n, classes), where that is known.

    Returns:
        What was predicted, with the score. It takes 2 * len(FRACTIONS) forward passes per image, and one without
        `whole`.
    """
    seeds = seeds_of(X)
    whole = answers_to(model, X) if whole is None else whole
    predicted = whole.argmax(1)
    ranks = (_ranks(maps), _ranks(maps, descending=True))
    parts = [
        _answers(model, X[s], predicted[s], [rank[s, None] for rank in ranks], removal, background, seeds[s])
        for s in (slice(start, start + CHUNK // 2) for start in range(0, len(X), CHUNK // 2))
    ]
    lerf, morf = (
        Answers(
            classes=torch.cat([part[order].classes for part in parts]),
            probability=torch.cat([part[order].probability for part in parts]),
        )
        for order in (0, 1)
    )
    return Faithfulness(predicted=predicted, confidence=whole.softmax(1).amax(1), lerf=lerf, morf=morf)


def predict(model: nn.Module, X: Tensor) -> Tensor:
    """The classes (n,) that the model gives images X (n, C, H, W)."""
    return answers_to(model, X).argmax(1)


@torch.no_grad()
def answers_to(model: nn.Module, X: Tensor) -> Tensor:
    """The logits (n, classes) that the model gives images X (n, C, H, W)."""
    return torch.cat([model(images) for images in X.split(CHUNK)])


def _ranks(maps: Tensor, *, descending: bool = False) -> Tensor:
    """When each pixel of maps (n, H, W) is removed: 0 the first, H * W - 1 the last, of maps' shape."""
    flat = maps.flatten(1)
    shuffle = torch.randperm(flat.shape[1], generator=torch.Generator().manual_seed(SEED)).to(maps.device)
    order = shuffle[flat[:, shuffle].argsort(dim=1, stable=True, descending=descending)]
    places = torch.arange(order.shape[1], device=order.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, places).view_as(maps)


@torch.no_grad()
def _answers(
    model: nn.Module,
    X: Tensor,
    predicted: Tensor,
    ranks: list[Tensor],
    removal: Removal,
    background: Background,
    seeds: list[int],
) -> list[Answers]:
    """For each order of ranks (n, 1, H, W), what the model says without its first fraction q."""
    logits: list[Tensor] = []
    for draw, q in enumerate(FRACTIONS):
        sources = Sources(background=background, seeds=[seed + draw for seed in seeds])
        left = [removal(X, rank < round(q * rank[0].numel()), sources) for rank in ranks]
        logits.append(model(torch.cat(left)))  # both orders in one pass: small batches take longer per image
    stacked = torch.stack(logits, 1).split(len(X))
    of_class = predicted[:, None, None].expand(-1, len(FRACTIONS), 1)
    return [
        Answers(classes=found.argmax(2), probability=found.softmax(2).gather(2, of_class)[:, :, 0])
        for found in stacked
    ]
