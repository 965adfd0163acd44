"""Infidelity and maximal sensitivity of saliency maps under small changes of the image (Yeh et al. 2019), by Captum.

The changes must be larger than the steps of the quantisers, otherwise they measure rounding: at 2 bits the logits
respond in proportion to noise of at least 0.05 of the images' range, and 3 times too strongly to noise of 1/255
(docs/faithfulness.md).

The changes are the same for every image, so that its value does not depend on the other images of the batch.
"""

import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from torch import Tensor, nn

from trainables.saliency.attribution import saliency_maps, slopes

NOISE = 0.1
"""The size of the changes, as a fraction of the images' range."""
SAMPLES = 20
"""Changes per image."""
SEED = 0


def infidelity(model: nn.Module, X: Tensor, target: Tensor, *, method: str, noise: float) -> dict[str, float]:
    """Measure how badly the slopes predict f(X) - f(X - I) for Gaussian changes I (Yeh et al. 2019).

    Args:
        model: In evaluation mode, from images to logits; f is the logit of `target`.
        X: Normalised images, (n, C, H, W).
        target: Classes, (n,), int64.
        method: One of `choices.ATTRIBUTIONS`.
        noise: The standard deviation of I, in units of X, above 0.

    Returns:
        `infidelity`, the mean squared error in squared logits, with the slopes of each image scaled to fit best; and
        `infidelity_share`, the same divided by the mean of (f(X) - f(X - I))^2, in [0, 1], which compares models whose
        logits differ in size: at 0 the slopes predict all of the change, at 1 nothing.
    """
    generator = torch.Generator()

    def change(images: Tensor) -> tuple[Tensor, Tensor]:
        shared = noise * torch.randn(images.shape[1:], generator=generator).to(images)
        return shared.expand_as(images), images - shared

    def error(attributions: Tensor) -> float:
        generator.manual_seed(SEED)
        each = captum_infidelity(
            model, change, X, attributions, target=target, n_perturb_samples=SAMPLES,
            max_examples_per_batch=len(X), normalize=True,
        )  # fmt: skip
        return float(each.mean())

    explained = slopes(model, X, target, method=method)
    total = error(torch.zeros_like(X))
    rest = error(explained)
    return {"infidelity": rest, "infidelity_share": rest / total if total else 0.0}


def max_sensitivity(model: nn.Module, X: Tensor, target: Tensor, *, method: str, radius: float) -> float:
    """Measure the largest relative change of the maps M under small changes I (Yeh et al. 2019).

    Args:
        model: In evaluation mode, from images to logits.
        X: Normalised images, (n, C, H, W).
        target: Classes, (n,), int64.
        method: One of `choices.ATTRIBUTIONS`.
        radius: The changes I are uniform in [-radius, radius], in units of X; 0 or above.

    Returns:
        The mean over images of max |M(X + I) - M(X)| / |M(X)|: 0 for maps that do not change, about 1 for maps that
        have nothing in common with the old ones.
    """
    generator = torch.Generator().manual_seed(SEED)

    def change(images: Tensor | tuple[Tensor, ...]) -> Tensor:
        (batch,) = images if isinstance(images, tuple) else (images,)
        return batch + radius * (2 * torch.rand(batch.shape[1:], generator=generator).to(batch) - 1)

    def maps(images: Tensor | tuple[Tensor], target: Tensor) -> tuple[Tensor]:
        (batch,) = images if isinstance(images, tuple) else (images,)
        return (saliency_maps(model, batch, target, method=method),)

    each = sensitivity_max(
        maps, X, change, n_perturb_samples=SAMPLES, max_examples_per_batch=len(X), target=target
    )
    return float(each.mean())
