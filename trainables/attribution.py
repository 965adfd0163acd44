"""Saliency maps of a class's logit, by Captum: what a model says it looked at, pixel by pixel."""

import torch
from captum.attr import (
    Attribution,
    IntegratedGradients,
    LayerAttribution,
    LayerGradCam,
    NoiseTunnel,
    Saliency,
)
from torch import Tensor, nn

from trainables.errors import NonFiniteError

METHODS = ("gradient", "smooth_grad", "integrated_gradients", "grad_cam")
CHUNK = 100  # images a pass: more fall out of the cache
SAMPLES = 16  # of SmoothGrad's noise, and steps of Integrated Gradients
NOISE = 0.15  # of the images' range: SmoothGrad's standard deviation (Smilkov et al. 2017 use 0.1 to 0.2)
SEED = 0  # of the noise


def saliency_maps(model: nn.Module, X: Tensor, target: Tensor, *, method: str = "gradient") -> Tensor:
    """What the logit of `target` (n,) owes to each pixel of images X (n, C, H, W): nonnegative maps (n, H, W).

    gradient               |d logit / d X|
    smooth_grad            |mean of the gradient over X + noise|, the noise the same at every call
    integrated_gradients   |(X - 0) * mean gradient on the way from 0, the data set's mean|
    grad_cam               relu of the last convolution's maps weighted by their mean gradient, brought to H x W

    The largest value over channels counts. Raises NonFiniteError for maps with NaN, and what `check` raises.
    """
    check(model, X[:1], method)
    noise = NOISE * (X.amax() - X.amin()).item()
    with torch.random.fork_rng():  # training goes on with the numbers that it would have drawn
        torch.manual_seed(SEED)
        maps = torch.cat(
            [
                _attribute(model, images.detach().requires_grad_(), classes, method, noise)
                for images, classes in zip(X.split(CHUNK), target.split(CHUNK), strict=True)
            ]
        )
    if not maps.isfinite().all():
        raise NonFiniteError(
            f"the {method} maps of {int((~maps.isfinite().flatten(1).all(1)).sum())} of {len(maps)} images are not "
            "finite; lower lr"
        )
    return maps


def check(model: nn.Module, X: Tensor, method: str) -> None:
    """Raise ValueError, in one sentence, if the method cannot explain this model on images like X (n, C, H, W)."""
    if method == "grad_cam":
        _grad_cam_layer(model, X)


def _attribute(model: nn.Module, X: Tensor, target: Tensor, method: str, noise: float) -> Tensor:
    explainer: Attribution
    if method == "gradient":
        signed = Saliency(model).attribute(X, target=target, abs=False)
    elif method == "smooth_grad":
        explainer = NoiseTunnel(Saliency(model))
        signed = explainer.attribute(
            X, target=target, abs=False, nt_samples=SAMPLES, nt_samples_batch_size=1, stdevs=noise
        )
    elif method == "integrated_gradients":
        explainer = IntegratedGradients(model)
        signed = explainer.attribute(X, target=target, n_steps=SAMPLES, internal_batch_size=CHUNK)
    else:
        explainer = LayerGradCam(model, _grad_cam_layer(model, X[:1]))
        coarse = explainer.attribute(X, target=target, relu_attributions=True)
        signed = LayerAttribution.interpolate(coarse, X.shape[2:], "bilinear")
    maps: Tensor = signed.detach().abs().amax(1)
    return maps


@torch.no_grad()
def _grad_cam_layer(model: nn.Module, X: Tensor) -> nn.Conv2d:
    """The last convolution whose output is wider than one pixel: a map of one value would rank nothing."""
    wide: list[nn.Conv2d] = []

    def look(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        assert isinstance(layer, nn.Conv2d)
        if out.shape[-1] * out.shape[-2] > 1:
            wide.append(layer)

    hooks = [m.register_forward_hook(look) for m in model.modules() if isinstance(m, nn.Conv2d)]
    model(X)
    for hook in hooks:
        hook.remove()
    if not wide:
        raise ValueError(
            f"grad_cam needs a convolution with an output above 1x1 and {type(model).__name__} has none; "
            "choose another attribution"
        )
    return wide[-1]
