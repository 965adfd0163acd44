"""Whether a model can be trained, quantised and counted rightly: asked before training, answered with what is wrong.

The packaged models pass by construction; the question is for a user's own model and for those of timm.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from study_common.errors import UserError
from trainables.models.calls import each_called_once
from trainables.models.catalogue import build, layer_names, quantisable
from trainables.models.own_models import own_code

UNSUPPORTED = (
    nn.Conv1d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Bilinear, nn.RNNBase,
    nn.RNNCellBase, nn.MultiheadAttention,
)  # fmt: skip
"""Modules that multiply with weights and are neither quantised nor counted."""
_WEIGHTED = (
    torch.conv1d, torch.conv2d, torch.conv3d, torch.conv_transpose1d, torch.conv_transpose2d, torch.conv_transpose3d,
    F.linear, F.multi_head_attention_forward,
)  # fmt: skip
"""Functions whose second argument, or its name `weight`, is a weight."""
_PRODUCTS = (
    torch.matmul, torch.bmm, torch.mm, torch.einsum, torch.addmm, torch.baddbmm,
    Tensor.matmul, Tensor.__matmul__, Tensor.bmm, Tensor.mm,
    F.scaled_dot_product_attention,
)  # fmt: skip
"""Products of matrices."""


def check_model(name: str, channels: int, size: int, classes: int, *, twice: bool) -> None:
    """Check that an own model can be trained on images (n, channels, size, size) of so many classes.

    It is built for real, and makes a step with two images.

    Args:
        name: Of a model for which `choices.is_own_model` holds.
        channels: Of the images, 1 or 3.
        size: Height and width of the images, in pixels.
        classes: The number of classes.
        twice: Whether its gradient will be differentiated again, for lambda2.

    Raises:
        UserError: What is wrong with it, in one sentence that names the module.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model, other = (build(name, channels=channels, size=size, classes=classes) for _ in range(2))
        if {*map(id, model.parameters())} & {*map(id, other.parameters())}:
            raise UserError(
                f"{name} returns the same weights at every call; let it build a new model each time"
            )
        X = torch.randn(2, channels, size, size)
        layers = quantisable(model)
        _check_modules(name, model, layers)
        if tuple(layers) != layer_names(name):
            raise UserError(f"the layers of {name} depend on the images; give them names that do not")
        model.to(memory_format=torch.channels_last)
        X = X.to(memory_format=torch.channels_last)
        for training in (False, True):
            with each_called_once(layers), _Weights(name, layers), _wide_maps(layers):
                logits = _pass(name, model.train(training), X)
            _check_logits(name, logits, classes)
        _check_one_image(name, model.eval(), X)
        _check_gradients(name, model, X, twice=twice)


def uncounted_products(model: nn.Module, X: Tensor) -> tuple[str, ...]:
    """Return the functions by which a model multiplies activations with each other, which costs do not count."""
    with torch.no_grad(), _Weights("", quantisable(model)) as seen:
        model(X)
    return tuple(dict.fromkeys(seen.products))


def _pass(name: str, model: nn.Module, X: Tensor) -> Any:
    with torch.no_grad(), own_code(f"a pass of {tuple(X.shape)} images through {name}"):
        return model(X)


def _check_modules(name: str, model: nn.Module, layers: Mapping[str, nn.Module]) -> None:
    if any(nn.parameter.is_lazy(parameter) for parameter in model.parameters()):
        raise UserError(f"{name} has lazy layers; state their input sizes")
    if any(hasattr(module, "_orig_mod") for module in model.modules()):
        raise UserError(
            f"{name} is compiled by torch.compile, which hides its layers; return the module itself"
        )
    found = [
        f"{place} ({type(m).__name__})" for place, m in model.named_modules() if isinstance(m, UNSUPPORTED)
    ]
    if found:
        raise UserError(
            f"{name} has modules whose products are neither quantised nor counted: {', '.join(found)}; replace them "
            "by Conv2d or Linear"
        )
    if not layers:
        raise UserError(f"{name} has no Conv2d or Linear, so there is nothing to quantise; give it one")
    if hasattr(model, "epsilon"):
        raise UserError(
            f"{name} has an attribute epsilon, which is what the mask's threshold is called; rename it"
        )
    if frozen := [place for place, layer in layers.items() if not layer.weight.requires_grad]:
        raise UserError(
            f"{name} freezes the weights of its layer {frozen[0]}, which must adapt to their widths; leave out "
            "requires_grad_(False)"
        )
    owner: dict[int, str] = {}
    for place, layer in layers.items():
        if (first := owner.setdefault(id(layer.weight), place)) != place:
            raise UserError(f"the layers {first} and {place} of {name} share one weight; give each its own")


def _check_logits(name: str, logits: Any, classes: int) -> None:
    if not isinstance(logits, Tensor):
        raise UserError(f"{name} returns a {type(logits).__name__}; let it return the logits alone, a tensor")
    if logits.shape != (2, classes):
        raise UserError(
            f"{name} returns {tuple(logits.shape)} for 2 images of {classes} classes; let it return (2, {classes})"
        )

    if not logits.isfinite().all():
        raise UserError(
            f"{name} returns values that are not finite for pixels of mean 0 and deviation 1; repair it"
        )
    if logits.ge(0).all() and (logits.sum(1) - 1).abs().max() < 1e-4:
        raise UserError(f"{name} returns probabilities; let it return the logits, from before the softmax")


def _check_one_image(name: str, model: nn.Module, X: Tensor) -> None:
    """Refuse a model in evaluation mode whose answer for an image depends on the others of its batch."""
    alone, together = (_pass(name, model, images) for images in (X[:1], torch.cat([X[:1], 3 * X[1:] + 1])))
    if (together[:1] - alone).abs().max() > 1e-3 * alone.abs().max():
        raise UserError(
            f"in evaluation mode {name} gives an image other logits when another one is in its batch; let its norms "
            "keep running statistics"
        )


def _check_gradients(name: str, model: nn.Module, X: Tensor, *, twice: bool) -> None:
    """Differentiate as a step does; if that fails with lambda2, say at which module."""
    X = X.clone().requires_grad_()
    with own_code(f"the gradient of {name}"):
        logits = model.train()(X)
        (slope,) = torch.autograd.grad(logits.logsumexp(1).sum(), X, create_graph=twice, allow_unused=True)
    if slope is None:
        raise UserError(f"the logits of {name} do not depend on the image; nothing can be learned")
    if not twice:
        return
    try:
        slope.abs().sum().backward()
    except RuntimeError as error:
        culprits = _once_differentiable(model, X.detach())
        where = f" at {', '.join(culprits)}" if culprits else ""
        raise UserError(
            f"the gradient of {name} cannot be differentiated again{where} ({str(error).partition(chr(10))[0]}); set "
            "lambda2=0, or replace it"
        ) from None


def _once_differentiable(model: nn.Module, X: Tensor) -> list[str]:
    """Return the innermost modules whose gradient has no gradient."""
    inputs: dict[str, Tensor] = {}
    for name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_pre_hook(
                lambda _, args, name=name: inputs.update({name: args[0].detach().clone()})
            )
    with torch.no_grad():
        model(X)
    found = []
    for name, x in inputs.items():
        module = model.get_submodule(name)
        try:
            out = module(x.requires_grad_() * 1)
            (slope,) = torch.autograd.grad((out**2).sum(), x, create_graph=True)
            slope.sum().backward()
        except RuntimeError:
            found.append(f"{name} ({type(module).__name__})")
    return found


@contextmanager
def _wide_maps(layers: Mapping[str, nn.Module]) -> Iterator[None]:
    """Refuse, within this context, a convolution that reads a map of one pixel with a larger kernel.

    Its kernel would see padding only, and PyTorch's bfloat16 gradient of such a weight reads uninitialised memory.
    """

    def look(layer: Any, args: Any, name: str) -> None:
        if args[0].shape[2:].numel() == 1 and max(layer.kernel_size) > 1:
            raise UserError(f"the layer {name} reads a map of one pixel; set a larger image_size")

    hooks = [
        layer.register_forward_pre_hook(lambda m, args, name=name: look(m, args, name))
        for name, layer in layers.items()
        if isinstance(layer, nn.Conv2d)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


class _Weights(TorchFunctionMode):
    """Within this context each product with a weight is one of a layer, or refused."""

    def __init__(self, name: str, layers: Mapping[str, nn.Module]) -> None:
        super().__init__()
        self.name = name
        self.weights = {id(layer.weight) for layer in layers.values()}
        self.products: list[str] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Sequence[type], args: Any = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        called = getattr(func, "__name__", str(func))
        if func in _WEIGHTED:
            weight = args[1] if len(args) > 1 else kwargs.get("weight")
            if id(weight) not in self.weights:
                raise UserError(
                    f"{self.name} calls {called} with a weight that is no layer's own, so it is neither quantised nor "
                    "counted; call a Conv2d or Linear instead"
                )
        elif func in _PRODUCTS:
            if any(isinstance(leaf, nn.Parameter) and leaf.dim() > 1 for leaf in tree_leaves((args, kwargs))):
                raise UserError(
                    f"{self.name} multiplies with a parameter by {called}, so it is neither quantised nor counted; "
                    "use a Linear"
                )
            self.products.append(called)
        return func(*args, **kwargs)
