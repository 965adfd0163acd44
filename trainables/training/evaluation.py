"""The metrics of a model on a split: quality, KL under masking, faithfulness and localisation.

They are of a live model or of a checkpoint.

Always in float32 and in evaluation mode.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from trainables.data import Data, Masks, Split
from trainables.data.images.normalisation import Scale
from trainables.data.listing.splits import stratified
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import CHUNK, saliency_maps
from trainables.saliency.controls import CONTROLS
from trainables.saliency.faithfulness import answers_to, predict
from trainables.saliency.localisation import localisation
from trainables.saliency.removal import REMOVALS, Background
from trainables.saliency.suite import OBJECTIVE, Assessment, assess
from trainables.training.config import Config
from trainables.training.inputs import (
    check_images,
    data_of,
    masks_of,
    positive_index,
    scale_of,
    test_split_of,
)
from trainables.training.network import costs, load_checkpoint
from trainables.training.quality import confusion, quality
from trainables.training.sgt import keep, kl_divergence, saliency

FAITHFULNESS_IMAGES = 250  # of the split: faithfulness at the end of a run is measured on so many
RUNG_IMAGES = 100  # the same at rungs, and where maps point at any time
DONORS = 200  # training images that removed pixels are taken from
KL_IMAGES = 200  # of the split: the masked pass, most of whose time is a gradient, is measured on so many
FILL_SEED = 0


class Evaluation(NamedTuple):
    """What a model does on a split."""

    metrics: dict[str, float]
    confusion: Tensor
    """int64 (classes, classes): how many images of each class, a row, were taken for each, a column."""


def evaluate(
    model: nn.Module, split: Split, scale: Scale, config: Config, *, positive: int | None = None
) -> Evaluation:
    """The metrics of every epoch, on a split of uint8 images (n, C, H, W), and which classes are confused.

    accuracy (top-1), accuracy_se (its standard error); sensitivity and specificity (macro, one-vs-rest, or those of the
    class `positive`); auroc (macro); loss (mean CE); kl and mask_fraction over `KL_IMAGES` of the images.
    """
    some, others = _parted(split, KL_IMAGES)
    labels = torch.cat([some.labels, others.labels])
    with extra_pass(model):
        o, masked = _masked(model, some, scale, config)
        logits = torch.cat([o, *_logits(model, others.images, scale)]).cpu()
        return Evaluation(
            metrics=quality(logits, labels, positive) | masked, confusion=confusion(logits, labels)
        )


def measure_quality(model: nn.Module, split: Split, scale: Scale) -> dict[str, float]:
    """Those metrics of `evaluate` that need no masked pass: all but kl and mask_fraction."""
    with extra_pass(model):
        return quality(torch.cat(_logits(model, split.images, scale)).cpu(), split.labels)


def measure_faithfulness(
    model: nn.Module, split: Split, data: Data, scale: Scale, config: Config, *, whole_suite: bool = True
) -> Assessment:
    """Score the maps of the configured attribution on images of a split of `data`.

    On `FAITHFULNESS_IMAGES` by every removal and beside every control, or without `whole_suite` on `RUNG_IMAGES` by the
    removals of the objective alone.
    """
    with extra_pass(model):
        X = scale(choose(split, FAITHFULNESS_IMAGES if whole_suite else RUNG_IMAGES).images)
        whole = answers_to(model, X)
        maps = saliency_maps(model, X, whole.argmax(1), method=config.attribution)
        removals, controls = (REMOVALS, CONTROLS) if whole_suite else (OBJECTIVE, ())
        background = background_of(data, scale)
        return assess(model, X, maps, background, removals=removals, controls=controls, whole=whole)


def measure_localisation(
    model: nn.Module, split: Split, masks: Masks, scale: Scale, config: Config
) -> dict[str, float]:
    """Measure where the same maps point, on `RUNG_IMAGES` images of a split that have masks."""
    chosen = torch.from_numpy(stratified(split.labels[masks.indices], min(RUNG_IMAGES, len(masks.indices))))
    with extra_pass(model):
        X = scale(split.images[masks.indices[chosen]])
        maps = saliency_maps(model, X, predict(model, X), method=config.attribution)
    return localisation(maps, masks.inside[chosen].to(maps.device))


def background_of(data: Data, scale: Scale) -> Background:
    """The colours and `DONORS` training images of a data set, as a model reads them."""
    black, white = ((value - scale.mean) / scale.std for value in (0.0, 1.0))
    return Background(black=black, white=white, donors=scale(choose(data.train, DONORS).images))


def validation_metrics(path: Path, data_dir: str = "", masks: str = "") -> dict[str, float]:
    """The metrics that the run recorded, measured again: the same bits on the CPU that trained it.

    The images are looked for in `data_dir`, their masks in `masks`, or for "" where the run had them.
    """
    return _metrics(path, "validation", lambda config: data_of(config).validation, data_dir, masks)


def test_metrics(path: Path) -> dict[str, float]:
    """The same metrics on the test split. Only `study.confirm` calls this."""
    return _metrics(path, "test", test_split_of)


def _metrics(
    path: Path, part: str, split_of: Callable[[Config], Split], data_dir: str = "", masks: str = ""
) -> dict[str, float]:
    model, config, about = load_checkpoint(path, data_dir)
    config = replace(config, masks=masks or config.masks)
    data, split = data_of(config), split_of(config)
    check_images(path, about, data, config.data_dir)
    scale = scale_of(data, next(model.parameters()).device)
    return {
        **evaluate(model, split, scale, config, positive=positive_index(config, data.class_names)).metrics,
        **measure_faithfulness(model, split, data, scale, config).metrics(),
        **(measure_localisation(model, split, masks_of(config, part), scale, config) if config.masks else {}),
        **costs(config),
    }


def choose(split: Split, count: int) -> Split:
    """`count` images of a split, or all if it has fewer; each class has its share, and they are always the same."""
    return _parted(split, count)[0]


def _parted(split: Split, count: int) -> tuple[Split, Split]:
    """The images that `choose` takes, and the others."""
    chosen = torch.zeros(len(split.labels), dtype=torch.bool)
    chosen[torch.from_numpy(stratified(split.labels, min(count, len(split.labels))))] = True
    return tuple(Split(split.images[part], split.labels[part]) for part in (chosen, ~chosen))  # type: ignore[return-value]


@torch.no_grad()
def _logits(model: nn.Module, images: Tensor, scale: Scale) -> list[Tensor]:
    return [model(scale(chunk)) for chunk in images.split(CHUNK) if len(chunk)]


def _masked(model: nn.Module, some: Split, scale: Scale, config: Config) -> tuple[Tensor, dict[str, float]]:
    """The logits of some images, and what masking them does."""
    generator = torch.Generator().manual_seed(FILL_SEED)
    fill = scale.fill(config.fill, generator)
    epsilon = getattr(model, "epsilon", None)
    logits, kl, masked = [], 0.0, 0.0
    for images, labels in zip(some.images.split(CHUNK), some.labels.split(CHUNK), strict=True):
        X = scale(images).requires_grad_()
        o = model(X)
        kept = keep(saliency(o, X, labels.to(X.device), scalar=config.saliency), config, epsilon).detach()
        o = o.detach()
        with torch.no_grad():
            kl += kl_divergence(o, model(torch.lerp(fill(X), X, kept))).item() * len(X)
        masked += (1 - kept).mean().item() * len(X)
        logits.append(o)
    return torch.cat(logits), {"kl": kl / len(some.labels), "mask_fraction": masked / len(some.labels)}
