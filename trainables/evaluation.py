"""The metrics of a model on a split: quality, KL under masking, faithfulness. Always float32 and in evaluation mode."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torchmetrics.functional import classification

from trainables.config import Config
from trainables.data import Split
from trainables.faithfulness import IMAGES, faithfulness, saliency_maps
from trainables.pixels import Scale
from trainables.sgt import keep, kl_divergence, saliency

CHUNK = 100  # images a forward pass: more fall out of the cache
KL_IMAGES = 500  # the masked pass is measured on so many images of the split
FILL_SEED = 0


def evaluate(
    model: nn.Module, split: Split, scale: Scale, config: Config, *, faithful: bool
) -> dict[str, float]:
    """Every metric that needs images, on a split of uint8 images (n, C, H, W).

    accuracy (top-1), sensitivity and specificity (macro, one-vs-rest), loss (mean CE); kl and mask_fraction over the
    first `KL_IMAGES`; with `faithful`, faithfulness, its standard error and the number of images it used.
    """
    was_training = model.training
    model.eval()
    with parametrize.cached():
        metrics = _quality(_logits(model, split.images, scale), split.labels) | _masked(
            model, split, scale, config
        )
        if faithful:
            metrics |= _faithful(model, scale(split.images[:IMAGES]))
    model.train(was_training)
    return metrics


def _faithful(model: nn.Module, X: Tensor) -> dict[str, float]:
    with torch.no_grad():
        predicted = model(X).argmax(1)
    score = faithfulness(model, X, saliency_maps(model, X, predicted))
    return {
        "faithfulness": score.score,
        "faithfulness_se": score.standard_error,
        "faithfulness_images": score.images,
    }


@torch.no_grad()
def _logits(model: nn.Module, images: Tensor, scale: Scale) -> Tensor:
    return torch.cat([model(scale(chunk)) for chunk in images.split(CHUNK)])


def _quality(logits: Tensor, labels: Tensor) -> dict[str, float]:
    classes = logits.shape[1]
    return {
        "accuracy": classification.multiclass_accuracy(logits, labels, classes, average="micro").item(),
        "sensitivity": classification.multiclass_recall(logits, labels, classes, average="macro").item(),
        "specificity": classification.multiclass_specificity(logits, labels, classes, average="macro").item(),
        "loss": F.cross_entropy(logits, labels).item(),
    }


def _masked(model: nn.Module, split: Split, scale: Scale, config: Config) -> dict[str, float]:
    generator = torch.Generator().manual_seed(FILL_SEED)
    fill = scale.fill(config.fill, generator)
    epsilon = getattr(model, "epsilon", None)
    kl = masked = count = 0.0
    for images, labels in zip(
        split.images[:KL_IMAGES].split(CHUNK), split.labels[:KL_IMAGES].split(CHUNK), strict=True
    ):
        X = scale(images).requires_grad_()
        o = model(X)
        kept = keep(saliency(o, X, labels, scalar=config.saliency), config, epsilon).detach()
        with torch.no_grad():
            kl += kl_divergence(o, model(torch.lerp(fill(X), X, kept))).item() * len(X)
        masked += (1 - kept).mean().item() * len(X)
        count += len(X)
    return {"kl": kl / count, "mask_fraction": masked / count}
