"""Saliency maps of a class's logit: what a model says it looked at, pixel by pixel."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from study_common.errors import NonFiniteError, UserError

CHUNK = 100  # images a pass: more fall out of the cache
SAMPLES = 16  # of SmoothGrad's noise, and steps of Integrated Gradients
NOISE = 0.15  # of an image's range: SmoothGrad's standard deviation (Smilkov et al. 2017 use 0.1 to 0.2)
SEED = 0  # of SmoothGrad's noise


def saliency_maps(model: nn.Module, X: Tensor, target: Tensor, *, method: str = "gradient") -> Tensor:
    """How much each pixel matters to the logit of a class.

    The map of an image does not depend on the images beside it.

    Args:
        model: in evaluation mode, from images (n, C, H, W) to logits (n, classes).
        X: images (n, C, H, W), as the model reads them.
        target: classes (n,), int64.
        method: one of `choices.ATTRIBUTIONS`, see `slopes`.

    Returns:
        Maps (n, H, W), 0 or above: |slopes|, or |X * slopes| for Integrated Gradients; the largest of an image's
        channels counts.

    Raises:
        UserError: The model cannot be explained by this method.
        NonFiniteError: A map has NaN or infinite values.
    """
    slope = slopes(model, X, target, method=method)
    maps = (X * slope if method == "integrated_gradients" else slope).abs().amax(1)
    if not maps.isfinite().all():
        bad = int((~maps.isfinite().flatten(1).all(1)).sum())
        raise NonFiniteError(f"the {method} maps of {bad} of {len(maps)} images are not finite; lower lr")
    return maps


def blank(maps: Tensor) -> Tensor:
    """Which of the maps (n, H, W) are constant and rank nothing, bool (n,).

    >>> blank(torch.tensor([[[0.0, 0.0]], [[0.0, 0.1]]])).tolist()
    [True, False]
    """
    flat = maps.flatten(1)
    return flat.amax(1) == flat.amin(1)


def slopes(model: nn.Module, X: Tensor, target: Tensor, *, method: str) -> Tensor:
    """What the logit of a class gains with each pixel, signed.

    gradient               d logit / d X
    smooth_grad            its mean over `SAMPLES` noisy copies of X (Smilkov et al. 2017); the noise of an image is
                           in proportion to its own range, and the same at every call
    integrated_gradients   its mean along the way from 0, the data set's mean, to X (Sundararajan et al. 2017)
    grad_cam               the maps behind the last convolution, its norm and its activation, weighted by their mean
                           gradient, 0 where negative, brought to H x W and alike for all channels (Selvaraju et al.
                           2017)

    Args:
        model: as for `saliency_maps`.
        X: images (n, C, H, W).
        target: classes (n,), int64.
        method: one of `choices.ATTRIBUTIONS`.

    Returns:
        Slopes of X's shape.
    """
    chunks = [
        _SLOPES[method](model, images.detach().requires_grad_(), classes).detach()
        for images, classes in zip(X.split(CHUNK), target.split(CHUNK), strict=True)
    ]
    return torch.cat(chunks)


def check(model: nn.Module, X: Tensor, method: str) -> None:
    """Raise UserError, in one sentence, if the method cannot explain this model on images like X (n, C, H, W)."""
    if method == "grad_cam":
        with torch.no_grad():
            _last_activation(model, X)


@torch.enable_grad()
def _gradient(model: nn.Module, X: Tensor, target: Tensor) -> Tensor:
    return torch.autograd.grad(model(X).gather(1, target[:, None]).sum(), X)[0]


def _smooth_grad(model: nn.Module, X: Tensor, target: Tensor) -> Tensor:
    """One draw of noise serves all images: Captum's takes the range of the batch and draws by position."""
    size = NOISE * (X.detach().amax((1, 2, 3), keepdim=True) - X.detach().amin((1, 2, 3), keepdim=True))
    generator = torch.Generator().manual_seed(SEED)
    total = torch.zeros_like(X)
    for _ in range(SAMPLES):
        noise = torch.randn(X.shape[1:], generator=generator).to(X)
        total += _gradient(model, (X + size * noise).detach().requires_grad_(), target)
    return total / SAMPLES


def _integrated_gradients(model: nn.Module, X: Tensor, target: Tensor) -> Tensor:
    from captum.attr import IntegratedGradients  # it takes a second to load, and most runs do not need it

    path = IntegratedGradients(model, multiply_by_inputs=False)
    found: Tensor = path.attribute(X, target=target, n_steps=SAMPLES, internal_batch_size=CHUNK)
    return found


@torch.enable_grad()
def _grad_cam(model: nn.Module, X: Tensor, target: Tensor) -> Tensor:
    """By hand: Captum's needs a module, and the activation of most of our models is a function."""
    logits, activation = _last_activation(model, X)
    (slope,) = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), activation)
    coarse = (slope.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True).relu()
    return F.interpolate(coarse, X.shape[2:], mode="bilinear").expand_as(X)


_SLOPES: Mapping[str, Callable[[nn.Module, Tensor, Tensor], Tensor]] = {
    "gradient": _gradient,
    "smooth_grad": _smooth_grad,
    "integrated_gradients": _integrated_gradients,
    "grad_cam": _grad_cam,
}


def _last_activation(model: nn.Module, X: Tensor) -> tuple[Tensor, Tensor]:
    """The logits of X, and the last maps of more than one pixel: a map of one value would rank nothing."""
    with _LastMaps() as maps:
        logits = model(X)
    if maps.last is None:
        raise UserError(
            f"grad_cam needs a convolution with an output above 1x1, and {type(model).__name__} has none; choose "
            "another attribution"
        )
    return logits, maps.last


class _LastMaps(TorchFunctionMode):
    """Keeps the last result of more than one pixel, from the first such convolution on; views are no results."""

    def __init__(self) -> None:
        super().__init__()
        self.last: Tensor | None = None

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        wide = isinstance(result, Tensor) and result.dim() == 4 and result[0, 0].numel() > 1
        if wide and (func is torch.conv2d or self.last is not None) and not result._is_view():
            self.last = result
        return result
