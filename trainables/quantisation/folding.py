"""BatchNorm folded into the quantised convolution before it (paper B eq. 4-5, after Krishnamoorthi 2018).

An integer engine multiplies with gamma W / sigma, so that is what must lie on the levels, with the running sigma: a
batch's own sigma_B would move them at every step. Each channel has a step of its own, so scaling a channel scales its
step and leaves the codes: quantising gamma W / sigma is quantising W. Training therefore quantises W and normalises by
the batch, which is eq. 4 with its correction c = sigma_B / sigma; inference has gamma / sigma in the step.
"""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize


@dataclass(frozen=True, kw_only=True)
class Codes:
    """A quantised weight in integers."""

    codes: Tensor
    """In [0, 2^k - 1], of w's shape."""
    step: Tensor
    """(out, 1, ...)"""
    zero: Tensor | float
    """A number for each channel, (out, 1, ...), or one that the quantiser implies."""

    def weight(self) -> Tensor:
        """Return w_q = (codes - zero) * step."""
        return (self.codes - self.zero) * self.step


class FoldedNorm(nn.BatchNorm2d):
    """The BatchNorm behind a convolution that it is folded into: the ordinary one in training, else a bias."""

    @property
    def scale(self) -> Tensor:
        """gamma / sigma of the running statistics, (channels,); gamma learns through the norm alone."""
        assert self.running_var is not None
        return (self.weight / (self.running_var + self.eps).sqrt()).detach()

    @property
    def shift(self) -> Tensor:
        """What is left of it in inference, (channels,): beta - mu gamma / sigma."""
        assert self.running_mean is not None
        return self.bias - self.running_mean * self.scale

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (n, channels, H, W), the output of the convolution."""
        return super().forward(x) if self.training else x + self.shift.view(1, -1, 1, 1)


class Folded(nn.Module):
    """The parametrisation of a weight with a `FoldedNorm` behind it: its quantiser, in inference with the scale."""

    def __init__(self, quantiser: Any, norm: FoldedNorm) -> None:
        super().__init__()
        self.quantiser = quantiser
        self.norm = (norm,)  # in a tuple, or its parameters would be this module's too

    @property
    def bits(self) -> int:
        """The width of the codes."""
        return int(self.quantiser.bits)

    def encode(self, w: Tensor) -> Codes:
        """Quantise w of shape (out, in, h, w) to the integers of inference; a negative gamma makes negative steps."""
        found: Codes = self.quantiser.encode(w)
        return replace(found, step=found.step * self.norm[0].scale.view(-1, 1, 1, 1))

    def forward(self, w: Tensor) -> Tensor:
        """Quantise w as training or inference has it, whichever the norm is in."""
        if not self.norm[0].training:
            return self.encode(w).weight()
        quantised: Tensor = self.quantiser(w)
        return quantised


def fold(model: nn.Module, convolution: str, norm: str, quantiser: nn.Module) -> None:
    """Fold the BatchNorm named `norm` into the convolution before it, and quantise its weight, in place.

    The norm keeps the names of its parameters and buffers.
    """
    old = model.get_submodule(norm)
    assert isinstance(old, nn.BatchNorm2d)
    folded = FoldedNorm(old.num_features, eps=old.eps, momentum=old.momentum)
    folded.load_state_dict(old.state_dict())
    parent, _, last = norm.rpartition(".")
    setattr(model.get_submodule(parent), last, folded.train(old.training))
    layer = model.get_submodule(convolution)
    assert layer.bias is None, "a bias before a norm does nothing, and would have to be scaled"
    parametrize.register_parametrization(layer, "weight", Folded(quantiser, folded))
