"""BatchNorm folded into the quantised convolution before it (seed B eq. 4-5, after Krishnamoorthi 2018).

An integer engine multiplies with gamma W / sigma, so that is what must be quantised, with the running sigma: a batch's
own sigma_B would move the levels at every step. Training normalises by the batch all the same: there the quantised
weight is divided by gamma / sigma again and the ordinary BatchNorm follows, which multiplies by gamma / sigma_B. Both
together are the correction c = sigma_B / sigma of eq. 4.
"""

from torch import Tensor, nn
from torch.nn.utils import parametrize


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


class Fold(nn.Module):
    """W -> gamma W / sigma, the parametrisation of a weight (out, in, h, w) before it is quantised."""

    def __init__(self, norm: FoldedNorm) -> None:
        super().__init__()
        self.norm = (norm,)  # in a tuple, or its parameters would be this module's too

    def forward(self, w: Tensor) -> Tensor:
        """Scale the weight."""
        return w * self.norm[0].scale.view(-1, 1, 1, 1)


class Unfold(Fold):
    """In training the way back, after the weight was quantised."""

    def forward(self, w: Tensor) -> Tensor:
        """Take back the scale, or leave the weight as inference has it."""
        return w / self.norm[0].scale.view(-1, 1, 1, 1) if self.training else w


def fold(model: nn.Module, convolution: str, norm: str, quantiser: nn.Module) -> None:
    """Fold the BatchNorm named `norm` into the convolution before it, and quantise its weight, in place.

    The names of the model's parameters and buffers stay.
    """
    old = model.get_submodule(norm)
    assert isinstance(old, nn.BatchNorm2d)
    folded = FoldedNorm(old.num_features, eps=old.eps, momentum=old.momentum)
    folded.load_state_dict(old.state_dict())
    parent, _, last = norm.rpartition(".")
    setattr(model.get_submodule(parent), last, folded.train(old.training))
    layer = model.get_submodule(convolution)
    for part in (Fold(folded), quantiser, Unfold(folded)):
        parametrize.register_parametrization(layer, "weight", part)
