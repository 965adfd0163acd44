"""The optimiser with its step sizes, and the precision of the convolutions in a training step."""

import platform
from typing import Any

import torch
from torch import nn

from trainables.quantisation.quantisers import LSQ, clipping_levels
from trainables.training.config import Config


def optimizer(model: nn.Module, config: Config) -> torch.optim.Optimizer:
    """Return the optimiser of all parameters (paper A, Algorithm 2, lines 8-9; paper B, section III B).

    Args:
        model: The model with its quantisers, or a module that holds it and other quantisers.
        config: `optimizer`, `lr`, `lr_alpha`, `gamma` and `weight_decay` are used.

    Returns:
        AdamW, or SGD with momentum 0.9, with one group each for theta, the steps of the weights, alpha and epsilon. A
        group keeps its initial step size as `start`. Only theta has weight decay.
    """
    named = dict(model.named_parameters())
    levels = {*map(id, clipping_levels(model))}  # by identity: a user's model may have an alpha of its own
    steps = {id(module.log_step) for module in model.modules() if isinstance(module, LSQ)}
    alphas = [name for name in named if id(named[name]) in levels]
    scales = [name for name in named if id(named[name]) in steps]
    epsilon = [name for name in named if name.rpartition(".")[2] == "epsilon"]
    theta = [name for name in named if name not in {*alphas, *scales, *epsilon}]

    def group(names: list[str], size: float, decay: float = 0.0) -> dict[str, Any]:
        return {"params": [named[n] for n in names], "lr": size, "start": size, "weight_decay": decay}

    groups = [
        group(theta, config.lr, config.weight_decay),
        group(scales, config.lr),
        group(alphas, config.lr_alpha),
        group(epsilon, config.gamma),
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, momentum=0.9)
    return torch.optim.AdamW(groups, fused=True)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context in which a training step runs its convolutions.

    Args:
        precision: `bfloat16`, `float32`, or `auto`, which is bfloat16 if the device multiplies it natively.
        device: The device of the model.
    """
    fast = precision == "bfloat16" or (precision == "auto" and has_bfloat16(device))
    return torch.autocast(device.type, torch.bfloat16, enabled=fast, cache_enabled=False)


def has_bfloat16(device: torch.device) -> bool:
    """Tell whether a device multiplies bfloat16 natively; where it is emulated, it is slower than float32."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if not torch.backends.mkldnn.is_available():
        return False
    if platform.machine() in ("x86_64", "AMD64"):
        return torch.cpu._is_avx512_bf16_supported()
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
