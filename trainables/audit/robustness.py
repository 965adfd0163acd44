"""Do saliency maps foresee what a small change of the image does, and hold still under it? Both measures by Captum.

The changes must be larger than the quantisers' steps, or they measure rounding: at 2 bits the logits answer in
proportion to noise from 0.05 of the images' range on, and 3 times too much to 1/255 (docs/faithfulness.md).
"""

import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from torch import Tensor, nn

from trainables.saliency.attribution import CHUNK, saliency_maps, slopes

NOISE = 0.1  # of the images' range: the size of the changes
SAMPLES = 20  # changes an image
SEED = 0


def infidelity(model: nn.Module, X: Tensor, target: Tensor, *, method: str, noise: float) -> dict[str, float]:
    """How badly the slopes foretell f(X) - f(X - I) for Gaussian I of sd `noise`, f the logit (Yeh et al. 2019).

    infidelity         mean squared error, logit^2, with the slopes scaled as fits each image best
    infidelity_share   the same over the mean of (f(X) - f(X - I))^2: 0 foretells all of it, 1 nothing. It compares
                       models whose logits differ in size.
    """

    def change(images: Tensor) -> tuple[Tensor, Tensor]:
        noise_ = noise * torch.randn_like(images)
        return noise_, images - noise_

    def error(attributions: Tensor) -> float:
        with torch.random.fork_rng():
            torch.manual_seed(SEED)
            each = captum_infidelity(
                model, change, X, attributions, target=target, n_perturb_samples=SAMPLES,
                max_examples_per_batch=max(CHUNK, len(X)), normalize=True,
            )  # fmt: skip
        return float(each.mean())

    explained = slopes(model, X, target, method=method)
    total = error(torch.zeros_like(X))
    rest = error(explained)
    return {"infidelity": rest, "infidelity_share": rest / total if total else 0.0}


def max_sensitivity(model: nn.Module, X: Tensor, target: Tensor, *, method: str, radius: float) -> float:
    """The largest |M(X + I) - M(X)| / |M(X)| of the maps M over I uniform in [-radius, radius]; mean over images.

    0 for maps that hold still; about 1 once they share nothing with the old ones (Yeh et al. 2019).
    """

    def maps(images: Tensor | tuple[Tensor], target: Tensor) -> tuple[Tensor]:
        (batch,) = images if isinstance(images, tuple) else (images,)
        return (saliency_maps(model, batch, target, method=method),)

    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        each = sensitivity_max(
            maps, X, perturb_radius=radius, n_perturb_samples=SAMPLES,
            max_examples_per_batch=max(CHUNK, len(X)), target=target,
        )  # fmt: skip
    return float(each.mean())
