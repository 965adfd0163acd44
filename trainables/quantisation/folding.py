"""BatchNorm folded into the quantised convolution before it (paper B eq. 4-5, after Krishnamoorthi 2018).

An integer engine multiplies with gamma W / sigma, so these products must lie on the levels. sigma is the running one,
because the sigma_B of a batch would move the levels at every step. Each channel has its own step, so scaling a channel
scales its step and does not change the codes: quantising gamma W / sigma is quantising W. Training therefore quantises
W and normalises by the batch, which is eq. 4 with its correction c = sigma_B / sigma. Inference includes gamma / sigma
in the step.
"""

from dataclasses import dataclass, replace
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize


@dataclass(frozen=True, kw_only=True)
class Codes:
    """A quantised weight in integers."""

    codes: Tensor
    """Integers in [0, 2^k - 1], of the shape of the weight."""
    step: Tensor
    """The step of each output channel, (out, 1, ...)."""
    zero: Tensor | float
    """The code of the value 0 per output channel, (out, 1, ...), or one for all."""

    def weight(self) -> Tensor:
        """Return w_q = (codes - zero) * step."""
        return (self.codes - self.zero) * self.step


class FoldedNorm(nn.BatchNorm2d):
    """A BatchNorm that is folded into the convolution before it: ordinary in training, a bias in inference."""

    convolution: tuple[nn.Module]
    """In a tuple, or its parameters would be this module's too."""
    is_folded = True
    """False while the weight of the convolution is not quantised; the norm is then ordinary in inference too."""

    @property
    def scale(self) -> Tensor:
        """gamma / sigma of the running statistics, (channels,), detached: gamma is trained through the norm only."""
        assert self.running_var is not None
        return (self.weight / (self.running_var + self.eps).sqrt()).detach()

    @property
    def shift(self) -> Tensor:
        """What inference adds to the output of the scaled convolution, (channels,): beta - mu gamma / sigma.

        A bias b of the convolution is added as it is, and should be scaled: so b (gamma / sigma - 1) is added here.
        """
        assert self.running_mean is not None
        shift = self.bias - self.running_mean * self.scale
        bias = self.convolution[0].bias
        return shift + bias * (self.scale - 1) if isinstance(bias, Tensor) else shift

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x, (n, channels, H, W), the output of the convolution; the same shape is returned."""
        if self.training or not self.is_folded:
            return super().forward(x)
        return x + self.shift.view(1, -1, 1, 1)


class Folded(nn.Module):
    """The parametrisation of a weight with a `FoldedNorm` behind it: its quantiser, scaled in inference.

    Args:
        quantiser: The `LSQ` or `Affine` of the weight.
        norm: The norm behind the convolution.
    """

    def __init__(self, quantiser: Any, norm: FoldedNorm) -> None:
        super().__init__()
        self.quantiser = quantiser
        self.norm = (norm,)  # in a tuple, or its parameters would be this module's too

    @property
    def bits(self) -> int:
        """The width of the codes in bits."""
        return int(self.quantiser.bits)

    def encode(self, w: Tensor) -> Codes:
        """Quantise a weight w, (out, in, height, width), to the integers of inference.

        A negative gamma makes the step of its channel negative.
        """
        found: Codes = self.quantiser.encode(w)
        return replace(found, step=found.step * self.norm[0].scale.view(-1, 1, 1, 1))

    def forward(self, w: Tensor) -> Tensor:
        """Quantise a weight w, (out, in, height, width), for the mode that the norm is in: training or inference."""
        if not self.norm[0].training and self.norm[0].is_folded:
            return self.encode(w).weight()
        quantised: Tensor = self.quantiser(w)
        return quantised


def fold(model: nn.Module, convolution: str, norm: str, quantiser: nn.Module) -> None:
    """Fold a BatchNorm into the convolution before it, and quantise its weight, in place.

    The norm keeps the names of its parameters and buffers.

    Args:
        model: The model.
        convolution: The name of the convolution.
        norm: The name of the BatchNorm that reads its output.
        quantiser: The `LSQ` or `Affine` of the weight.
    """
    old = model.get_submodule(norm)
    assert isinstance(old, nn.BatchNorm2d)
    folded = FoldedNorm(old.num_features, eps=old.eps, momentum=old.momentum)
    folded.load_state_dict(old.state_dict())
    parent, _, last = norm.rpartition(".")
    setattr(model.get_submodule(parent), last, folded.train(old.training))
    layer = model.get_submodule(convolution)
    folded.convolution = (layer,)
    parametrize.register_parametrization(layer, "weight", Folded(quantiser, folded))
