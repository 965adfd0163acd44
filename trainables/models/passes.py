"""The context of every extra pass: one that looks at a model without training it, and leaves no trace.

Evaluation, calibration, saliency maps, the check of an attribution and the masked pass of SGT all run inside
`extra_pass`. Afterwards the mode of every module, the running statistics of BatchNorm and the state of the random
generators are what they were before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils import parametrize


@dataclass(frozen=True, kw_only=True)
class RandomState:
    """The states of the generators that a pass on a device draws from."""

    cpu: Tensor
    cuda: Tensor | None
    device: torch.device

    @classmethod
    def of(cls, device: torch.device) -> Self:
        """Return the states as they are now."""
        cuda = torch.cuda.get_rng_state(device) if device.type == "cuda" else None
        return cls(cpu=torch.get_rng_state(), cuda=cuda, device=device)

    def restore(self) -> None:
        """Let the generators draw again what they drew from here on."""
        torch.set_rng_state(self.cpu)
        if self.cuda is not None:
            torch.cuda.set_rng_state(self.cuda, self.device)


@contextmanager
def extra_pass(model: nn.Module, *, repeat: RandomState | None = None) -> Iterator[None]:
    """Let passes through a model leave nothing behind but gradients.

    Each quantised weight is computed once inside the context.

    Args:
        model: Any network. Without `repeat` it is in evaluation mode inside the context.
        repeat: The state of the generators before an earlier pass in training mode. The model then stays in the mode
            that it is in, normalises by the batch, and draws the same dropout and stochastic depth as in that pass.
    """
    modes = [(module, module.training) for module in model.modules()]
    norms = [module for module, training in modes if training and isinstance(module, _BatchNorm)]
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    state = RandomState.of(device)
    try:
        if repeat:
            repeat.restore()
            for norm in norms:
                norm.track_running_stats = False  # use the batch, and do not move the running statistics
        else:
            model.eval()
        with parametrize.cached():
            yield
    finally:
        state.restore()
        if repeat:
            for norm in norms:
                norm.track_running_stats = True
        for module, training in modes:
            module.training = training
