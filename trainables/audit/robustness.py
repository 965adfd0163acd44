"""Do saliency maps predict what a small change of the image does, and stay as they are under it? Measures by Captum.

The changes must be larger than the quantisers' steps, or they measure rounding: at 2 bits the logits answer in
proportion to noise from 0.05 of the images' range on, and 3 times too much to 1/255 (docs/faithfulness.md).

Every image meets the same changes, so that its value does not depend on the images beside it.
"""

import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from torch import Tensor, nn

from trainables.saliency.attribution import saliency_maps, slopes

NOISE = 0.1  # of the images' range: the size of the changes
SAMPLES = 20  # changes per image
SEED = 0


def infidelity(model: nn.Module, X: Tensor, target: Tensor, *, method: str, noise: float) -> dict[str, float]:
    """How badly the slopes predict f(X) - f(X - I) for Gaussian changes I of the image (Yeh et al. 2019).

    Args:
        model: in evaluation mode, from images to logits; f is the logit of `target`.
        X: images (n, C, H, W), as the model reads them.
        target: classes (n,), int64.
        method: one of `choices.ATTRIBUTIONS`.
        noise: the standard deviation of I, in units of X, above 0.

    Returns:
        `infidelity`, the mean squared error in squared logits, with the slopes scaled as fits each image best; and
        `infidelity_share`, the same over the mean of (f(X) - f(X - I))^2, which compares models whose logits differ
        in size: 0 predicts all of it, 1 nothing.
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
    """The largest relative change of the maps M under small changes of the image (Yeh et al. 2019).

    Args:
        model: in evaluation mode, from images to logits.
        X: images (n, C, H, W), as the model reads them.
        target: classes (n,), int64.
        method: one of `choices.ATTRIBUTIONS`.
        radius: the changes I are uniform in [-radius, radius], in units of X; 0 or above.

    Returns:
        The mean over images of max |M(X + I) - M(X)| / |M(X)|: 0 for maps that do not change, about 1 once they share
        nothing with the old ones.
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
