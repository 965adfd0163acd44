"""BatchNorm folded into the quantised convolution before it (seed B eq. 4-5, after Krishnamoorthi 2018).

An integer engine multiplies with gamma W / sigma, so that is what must be quantised, with the running sigma: a batch's
own sigma_B would move the levels at every step. Training normalises by the batch all the same. It divides the output by
gamma / sigma again before it normalises, which is the correction c = sigma_B / sigma of eq. 4.
"""

from torch import Tensor, nn
from torch.nn.utils import parametrize


class FoldedNorm(nn.BatchNorm2d):
    """The BatchNorm behind a convolution whose weight is `Fold`ed: the ordinary one in training, else a bias."""

    scale: Tensor
    """gamma / sigma, (channels,), as the convolution's weight has it in this step."""

    @property
    def shift(self) -> Tensor:
        """What is left of it in inference, (channels,): beta - mu gamma / sigma."""
        assert self.running_mean is not None
        return self.bias - self.running_mean * fold_scale(self)

    def forward(self, x: Tensor) -> Tensor:
        """Normalise x (n, channels, H, W), the output of the folded convolution."""
        per_channel = (1, -1, 1, 1)
        if self.training:
            return super().forward(x / self.scale.view(per_channel))
        return x + self.shift.view(per_channel)


class Fold(nn.Module):
    """W -> gamma W / sigma, a parametrisation of the weight (out, in, h, w) of the convolution before a norm."""

    def __init__(self, norm: FoldedNorm) -> None:
        super().__init__()
        self.norm = (norm,)  # in a tuple, or its parameters would be this module's too

    def forward(self, w: Tensor) -> Tensor:
        """Scale the weight; the norm takes back the same scale, also after its statistics have moved on."""
        (norm,) = self.norm
        norm.scale = fold_scale(norm)
        return w * norm.scale.view(-1, 1, 1, 1)


def fold_scale(norm: nn.BatchNorm2d) -> Tensor:
    """gamma / sigma of the running statistics, (channels,); gamma learns through the norm alone."""
    assert norm.running_var is not None
    return (norm.weight / (norm.running_var + norm.eps).sqrt()).detach()


def fold(model: nn.Module, convolution: str, norm: str) -> None:
    """Fold the BatchNorm named `norm` into the convolution before it, in place; state_dict keeps its keys."""
    old = model.get_submodule(norm)
    assert isinstance(old, nn.BatchNorm2d)
    folded = FoldedNorm(old.num_features, eps=old.eps, momentum=old.momentum)
    folded.load_state_dict(old.state_dict())
    parent, _, last = norm.rpartition(".")
    setattr(model.get_submodule(parent), last, folded.train(old.training))
    parametrize.register_parametrization(model.get_submodule(convolution), "weight", Fold(folded))
