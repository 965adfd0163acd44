"""The SGT-PACT objective: seed A Algorithm 2 and seed B Algorithm 1, one batch at a time.

o = f(X)      S_i = d l_i / d X_i from the same graph      X~ = mask(X, |S|)      o~ = f(X~)
L = CE(o, y) + lambda1 KL(softmax(o) || softmax(o~)) + lambda2 mean_i sum |S_i| + eta ||alpha||
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import grad

from trainables.models.convolution import FastConvolutions
from trainables.quantisation.batchnorm import norms_of
from trainables.training.config import Config

TEMPERATURE = 0.05  # of the sigmoid that stands in for the indicator |S| > epsilon in the backward pass


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The terms of L before their weights, each a scalar tensor; what is switched off is 0."""

    cross_entropy: Tensor
    kl: Tensor
    saliency: Tensor
    alpha: Tensor

    def total(self, config: Config) -> Tensor:
        """L."""
        return (
            self.cross_entropy
            + config.lambda1 * self.kl
            + config.lambda2 * self.saliency
            + config.eta * self.alpha
        )


def losses(
    network: nn.Module,
    X: Tensor,
    y: Tensor,
    *,
    config: Config,
    fill: Callable[[Tensor], Tensor],
    alphas: Sequence[Tensor] = (),
    epsilon: Tensor | None = None,
    weights: Tensor | None = None,
) -> Losses:
    """Every term of L on images X (n, C, H, W), as the network reads them, with labels y (n,).

    `fill` gives the values of masked pixels for a batch of X's shape; `alphas` are the clipping levels, `epsilon` the
    threshold of `mask="threshold"`. Only the KL term sees epsilon, and only the cross-entropy the `weights` of the
    classes (classes,).
    """
    X = X.detach()
    zero = X.new_zeros(())
    norm = sum((a.abs() if config.alpha_norm == "l1" else a.square() for a in alphas), start=zero)
    if config.lambda1 == 0 and config.lambda2 == 0:
        with FastConvolutions(twice=False):
            ce = cross_entropy(network(X).float(), y, weights)
        return Losses(cross_entropy=ce, kl=zero, saliency=zero, alpha=norm)

    X.requires_grad_()
    with FastConvolutions(twice=config.lambda2 > 0):
        o = network(X).float()
    S = saliency(o, X, y, scalar=config.saliency, differentiable=config.lambda2 > 0)
    kl = zero
    if config.lambda1 > 0:
        kept = keep(S.detach(), config, epsilon)
        X_masked = torch.lerp(fill(X), X.detach(), kept)
        reference = o.detach() if config.stop_gradient else o
        with statistics_frozen(network), FastConvolutions(twice=False):
            kl = kl_divergence(reference, network(X_masked).float())
    return Losses(
        cross_entropy=cross_entropy(o, y, weights),
        kl=kl,
        saliency=S.abs().sum() / len(X) if config.lambda2 > 0 else zero,
        alpha=norm,
    )


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """n / (classes n_c) of each class, (classes,): their mean over the images is 1, and every class counts the same.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    return len(labels) / (classes * labels.bincount(minlength=classes).float())


def cross_entropy(o: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """The batch mean of the weighted CE; a sum of weights below would let a batch's own classes rescale it."""
    return F.cross_entropy(o, y, weights, reduction="sum") / len(y)


def saliency(o: Tensor, X: Tensor, y: Tensor, *, scalar: str, differentiable: bool = False) -> Tensor:
    """S (n, C, H, W), the gradient of each sample's scalar with respect to its own image, from logits o = f(X).

    `loss`: CE of the label; `label_logit`; `predicted_logit`. Sums over the batch are taken, never means, so that S
    of a sample does not depend on the batch. With `differentiable`, S carries the graph that lambda2 needs.
    """
    if scalar == "loss":
        cotangent = loss_cotangent(o if differentiable else o.detach(), y)
    else:
        chosen = y if scalar == "label_logit" else o.detach().argmax(1)
        cotangent = F.one_hot(chosen, o.shape[1]).to(o.dtype)
    return grad(o, X, cotangent, retain_graph=True, create_graph=differentiable)[0]


def loss_cotangent(o: Tensor, y: Tensor) -> Tensor:
    """d CE / d o = softmax(o) - onehot(y), (n, classes), its label entry as minus the sum of the other probabilities.

    p_y - 1 cancels in float32 for confident samples; the sum of the others does not.
    """
    others = o.softmax(1).masked_fill(F.one_hot(y, o.shape[1]).bool(), 0)
    return others.scatter(1, y[:, None], -others.sum(1, keepdim=True))


def keep(S: Tensor, config: Config, epsilon: Tensor | None = None) -> Tensor:
    """1 where a pixel stays and 0 where it is masked, (n, 1, H, W); one spatial mask for all channels, by max |S|."""
    size = S.abs().amax(1, keepdim=True)
    if config.mask == "ratio":
        return (
            (~lowest(size.flatten(1), round(config.mask_ratio * size[0].numel()))).view_as(size).to(S.dtype)
        )
    assert epsilon is not None
    relative = size / size.flatten(1).amax(1).clamp(min=torch.finfo(S.dtype).tiny).view(-1, 1, 1, 1)
    return straight_through_step(relative, epsilon)


def lowest(values: Tensor, k: int) -> Tensor:
    """A mask of exactly the k lowest of each row of `values` (n, m); of equal values the first ones.

    >>> lowest(torch.tensor([[3.0, 1.0, 1.0, 1.0]]), 2).tolist()
    [[False, True, True, False]]
    """
    if k == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    bound = values.kthvalue(k, dim=1, keepdim=True).values
    below, tied = values < bound, values == bound
    room = k - below.sum(1, keepdim=True)
    return below | (tied & (tied.cumsum(1) <= room))


def straight_through_step(relative: Tensor, epsilon: Tensor) -> Tensor:
    """The indicator relative > epsilon forward; backward that of sigmoid((relative - epsilon) / TEMPERATURE)."""
    soft = torch.sigmoid((relative - epsilon) / TEMPERATURE)
    return soft + ((relative > epsilon).to(soft.dtype) - soft).detach()


def kl_divergence(o: Tensor, o_masked: Tensor) -> Tensor:
    """KL(softmax(o) || softmax(o_masked)) of logits (n, classes), mean over the batch; 0 or above."""
    return F.kl_div(o_masked.log_softmax(1), o.log_softmax(1), log_target=True, reduction="batchmean")


@contextmanager
def statistics_frozen(network: nn.Module) -> Iterator[None]:
    """Let BatchNorm use the batch without moving its running statistics: masked images are not what it will see."""
    norms = norms_of(network)
    for norm in norms:
        norm.track_running_stats = not network.training
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True
