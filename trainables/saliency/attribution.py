"""Saliency maps of a class's logit, by Captum: what a model says it looked at, pixel by pixel."""

import torch
from torch import Tensor, nn

from study_common.errors import NonFiniteError, UserError

CHUNK = 100  # images a pass: more fall out of the cache
SAMPLES = 16  # of SmoothGrad's noise, and steps of Integrated Gradients
NOISE = 0.15  # of the images' range: SmoothGrad's standard deviation (Smilkov et al. 2017 use 0.1 to 0.2)
SEED = 0  # of the noise


def saliency_maps(model: nn.Module, X: Tensor, target: Tensor, *, method: str = "gradient") -> Tensor:
    """How much each pixel of images X (n, C, H, W) matters to the logit of `target` (n,): maps (n, H, W), 0 or above.

    |slopes|, and |X * slopes| for Integrated Gradients; the largest of an image's channels counts. Raises ValueError
    if the model cannot be explained so, and NonFiniteError for maps with NaN.
    """
    slope = slopes(model, X, target, method=method)
    maps = (X * slope if method == "integrated_gradients" else slope).abs().amax(1)
    if not maps.isfinite().all():
        bad = int((~maps.isfinite().flatten(1).all(1)).sum())
        raise NonFiniteError(f"the {method} maps of {bad} of {len(maps)} images are not finite; lower lr")
    return maps


def slopes(model: nn.Module, X: Tensor, target: Tensor, *, method: str) -> Tensor:
    """What the logit of `target` (n,) gains with each pixel of X (n, C, H, W): signed, of X's shape.

    gradient               d logit / d X
    smooth_grad            its mean over `SAMPLES` noisy copies of X; the noise is the same at every call
    integrated_gradients   its mean along the way from 0, the data set's mean, to X
    grad_cam               the last convolution's maps weighted by their mean gradient, 0 where negative, brought to
                           H x W and alike for all channels
    """
    noise = NOISE * (X.amax() - X.amin()).item()
    with torch.random.fork_rng():  # training goes on with the numbers that it would have drawn
        torch.manual_seed(SEED)
        chunks = [
            _slopes(model, images.detach().requires_grad_(), classes, method, noise).detach()
            for images, classes in zip(X.split(CHUNK), target.split(CHUNK), strict=True)
        ]
    return torch.cat(chunks)


def check(model: nn.Module, X: Tensor, method: str) -> None:
    """Raise ValueError, in one sentence, if the method cannot explain this model on images like X (n, C, H, W)."""
    if method == "grad_cam":
        _last_wide_convolution(model, X)


def _slopes(model: nn.Module, X: Tensor, target: Tensor, method: str, noise: float) -> Tensor:
    from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam, NoiseTunnel, Saliency

    if method == "gradient":
        found: Tensor = Saliency(model).attribute(X, target=target, abs=False)
    elif method == "smooth_grad":
        found = NoiseTunnel(Saliency(model)).attribute(
            X, target=target, abs=False, nt_samples=SAMPLES, nt_samples_batch_size=1, stdevs=noise
        )
    elif method == "integrated_gradients":
        path = IntegratedGradients(model, multiply_by_inputs=False)
        found = path.attribute(X, target=target, n_steps=SAMPLES, internal_batch_size=CHUNK)
    else:
        layer = _last_wide_convolution(model, X[:1])
        coarse = LayerGradCam(model, layer).attribute(X, target=target, relu_attributions=True)
        found = LayerAttribution.interpolate(coarse, X.shape[2:], "bilinear").expand_as(X)
    return found


@torch.no_grad()
def _last_wide_convolution(model: nn.Module, X: Tensor) -> nn.Module:
    """The last convolution whose output has more than one pixel: a map of one value would rank nothing."""
    wide: list[nn.Module] = []

    def look(layer: nn.Module, _: tuple[Tensor, ...], out: Tensor) -> None:
        if out[0, 0].numel() > 1:
            wide.append(layer)

    hooks = [m.register_forward_hook(look) for m in model.modules() if isinstance(m, nn.Conv2d)]
    model(X)
    for hook in hooks:
        hook.remove()
    if not wide:
        raise UserError(
            f"grad_cam needs a convolution with an output above 1x1, and {type(model).__name__} has none; choose "
            "another attribution"
        )
    return wide[-1]
