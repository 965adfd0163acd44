"""One step of SGT-PACT: the saliency S, the mask rule, the masked pass, and the terms of the loss L, for one batch.

o = f(X)      S_i = d l_i / d X_i from the same graph      X~ = mask(X, |S|)      o~ = f(X~)
L = CE(o, y) + lambda1 KL(softmax(o) || softmax(o~)) + lambda2 mean_i sum |S_i| + eta ||alpha||

This is Algorithm 2 of paper A and Algorithm 1 of paper B (see `config`). `losses` is the step, `saliency` gives S, and
`keep` is the mask rule: which pixels of an image stay and which are masked.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import grad

from trainables.models.convolution import FastConvolutions
from trainables.models.passes import RandomState, extra_pass
from trainables.training.config import Config

TEMPERATURE = 0.05  # of the sigmoid that stands in for the indicator |S| > epsilon in the backward pass


@dataclass(frozen=True, kw_only=True)
class Losses:
    """The terms of L before weighting, each a scalar tensor; a term that is switched off is 0."""

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
    """Every term of L for one batch.

    Args:
        network: The model f. Both passes use the same quantised weights and the same random draws; only the first moves
            the running statistics of BatchNorm.
        X: Normalised images, (n, C, H, W).
        y: Labels, (n,).
        config: The settings of the loss.
        fill: Gives the values of masked pixels for a batch of X's shape.
        alphas: The clipping levels.
        epsilon: The threshold of `mask="threshold"`; only the KL term depends on it.
        weights: Weights of the classes, (classes,); only the cross-entropy depends on them.
    """
    X = X.detach()
    zero = X.new_zeros(())
    norm = sum((a.abs() if config.alpha_norm == "l1" else a.square() for a in alphas), start=zero)
    if config.lambda1 == 0 and config.lambda2 == 0:
        with FastConvolutions(twice=False):
            ce = cross_entropy(network(X).float(), y, weights)
        return Losses(cross_entropy=ce, kl=zero, saliency=zero, alpha=norm)

    X.requires_grad_()
    before = RandomState.of(X.device)
    with FastConvolutions(twice=config.lambda2 > 0):
        o = network(X).float()
    S = saliency(o, X, y, scalar=config.saliency, differentiable=config.lambda2 > 0)
    kl = zero
    if config.lambda1 > 0:
        kept = keep(S.detach(), config, epsilon)
        X_masked = torch.lerp(fill(X), X.detach(), kept)
        reference = o.detach() if config.stop_gradient else o
        with extra_pass(network, repeat=before), FastConvolutions(twice=False):
            kl = kl_divergence(reference, network(X_masked).float())
    return Losses(
        cross_entropy=cross_entropy(o, y, weights),
        kl=kl,
        saliency=S.abs().sum() / len(X) if config.lambda2 > 0 else zero,
        alpha=norm,
    )


def class_weights(labels: Tensor, classes: int) -> Tensor:
    """The weight n / (classes n_c) of each class, (classes,); their mean over the images is 1.

    >>> class_weights(torch.tensor([0, 0, 0, 1]), 2).tolist()
    [0.6666666865348816, 2.0]
    """
    return len(labels) / (classes * labels.bincount(minlength=classes).float())


def cross_entropy(o: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
    """The batch mean of the weighted CE, divided by n: the sum of weights would depend on the batch's classes."""
    return F.cross_entropy(o, y, weights, reduction="sum") / len(y)


def saliency(o: Tensor, X: Tensor, y: Tensor, *, scalar: str, differentiable: bool = False) -> Tensor:
    """The gradient of each image's scalar with respect to that image, S of shape (n, C, H, W).

    Args:
        o: Logits f(X), (n, classes).
        X: The images, which require a gradient.
        y: Labels, (n,).
        scalar: `loss`, the CE of the label; `label_logit`; or `predicted_logit`. It is summed over the batch, so that S
            of an image does not depend on the others.
        differentiable: Whether S carries the graph that lambda2 needs.
    """
    if scalar == "loss":
        cotangent = loss_cotangent(o if differentiable else o.detach(), y)
    else:
        chosen = y if scalar == "label_logit" else o.detach().argmax(1)
        cotangent = torch.zeros_like(o).scatter(1, chosen[:, None], 1.0)
    return grad(o, X, cotangent, retain_graph=True, create_graph=differentiable)[0]


def loss_cotangent(o: Tensor, y: Tensor) -> Tensor:
    """d CE / d o = softmax(o) - onehot(y), (n, classes).

    The label's entry is computed as minus the sum of the other probabilities: p_y - 1 cancels in float32 for confident
    samples.
    """
    others = o.softmax(1).scatter(1, y[:, None], 0.0)  # F.one_hot would wait for the device, to check y
    return others.scatter(1, y[:, None], -others.sum(1, keepdim=True))


def keep(S: Tensor, config: Config, epsilon: Tensor | None = None) -> Tensor:
    """The mask rule: 1 where a pixel stays and 0 where it is masked, (n, 1, H, W), from S (n, C, H, W).

    All channels share one mask, by the largest |S| of a pixel. `mask="ratio"` masks exactly `mask_ratio` of the
    pixels of each image; `mask="threshold"` those whose |S| is at most epsilon times the largest of the image.
    """
    size = S.abs().amax(1, keepdim=True)
    if config.mask == "ratio":
        return (
            (~lowest(size.flatten(1), round(config.mask_ratio * size[0].numel()))).view_as(size).to(S.dtype)
        )
    assert epsilon is not None
    relative = size / size.flatten(1).amax(1).clamp(min=torch.finfo(S.dtype).tiny).view(-1, 1, 1, 1)
    return straight_through_step(relative, epsilon)


def lowest(values: Tensor, k: int) -> Tensor:
    """A mask of exactly the k lowest of each row of `values` (n, m); among equal values the first ones.

    >>> lowest(torch.tensor([[3.0, 1.0, 1.0, 1.0]]), 2).tolist()
    [[False, True, True, False]]
    """
    if k == 0:
        return torch.zeros_like(values, dtype=torch.bool)
    bound = values.kthvalue(k, dim=1, keepdim=True).values
    below, tied = values < bound, values == bound
    missing = k - below.sum(1, keepdim=True)
    return below | (tied & (tied.cumsum(1) <= missing))


def straight_through_step(relative: Tensor, epsilon: Tensor) -> Tensor:
    """The indicator relative > epsilon forward; backward that of sigmoid((relative - epsilon) / TEMPERATURE)."""
    soft = torch.sigmoid((relative - epsilon) / TEMPERATURE)
    return soft + ((relative > epsilon).to(soft.dtype) - soft).detach()


def kl_divergence(o: Tensor, o_masked: Tensor) -> Tensor:
    """KL(softmax(o) || softmax(o_masked)) of logits (n, classes), mean over the batch; 0 or above."""
    return F.kl_div(o_masked.log_softmax(1), o.log_softmax(1), log_target=True, reduction="batchmean")
