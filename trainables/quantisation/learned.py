"""What the quantisers learned, layer by layer: clipping levels and steps, and which of them have gone wrong."""

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from study_common import layout
from trainables.models.passes import extra_pass
from trainables.quantisation.folding import Folded
from trainables.quantisation.quantisers import FLOOR, LSQ, Pact, quantiser_of

INPUT = ".input_quantiser"


def learned(model: nn.Module) -> dict[str, float]:
    """The clipping level of each quantised input, `alpha.<layer>`, and the step of each LSQ weight, `step.<layer>`.

    A step is the geometric mean over the channels, before a BatchNorm is folded in.
    """
    found = {f"{layout.ALPHA_PREFIX}{layer}": pact.alpha.item() for layer, pact in _inputs(model).items()}
    for name, layer in model.named_modules():
        if parametrize.is_parametrized(layer, "weight"):
            quantiser, _ = quantiser_of(layer)
            inner = quantiser.quantiser if isinstance(quantiser, Folded) else quantiser
            if isinstance(inner, LSQ):
                found[f"{layout.STEP_PREFIX}{name}"] = inner.log_step.mean().exp().item()
    return found


@torch.no_grad()
def dead_inputs(model: nn.Module, images: Tensor) -> list[str]:
    """The layers whose quantised input is one constant on `images` (n, C, H, W): what is before them is lost."""
    dead: list[str] = []
    hooks = [
        pact.register_forward_hook(
            lambda _, args, out, layer=layer: dead.append(layer) if out.amax() == out.amin() else None
        )
        for layer, pact in _inputs(model).items()
    ]
    try:
        with extra_pass(model):
            model(images)
    finally:
        for hook in hooks:
            hook.remove()
    return dead


def collapsed_inputs(model: nn.Module) -> list[str]:
    """The layers whose clipping level has fallen to its lower bound, `FLOOR`."""
    return [layer for layer, pact in _inputs(model).items() if pact.alpha.item() <= FLOOR * 1.001]


def _inputs(model: nn.Module) -> dict[str, Pact]:
    return {name.removesuffix(INPUT): m for name, m in model.named_modules() if isinstance(m, Pact)}
