"""The running statistics of BatchNorm, measured again on training images before each evaluation.

A training step changes them by a tenth. After the few steps of an epoch on a small data set they mostly describe a
network that has changed since. Neither the weights nor their codes depend on them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from trainables.models.passes import extra_pass

IMAGES = 512
"""The number of images on which the statistics are measured; more images change them little."""


def norms_of(model: nn.Module) -> list[_BatchNorm]:
    """Return every BatchNorm of the model that keeps running statistics, in its order."""
    return [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]


@contextmanager
def gathering(norms: Iterable[_BatchNorm]) -> Iterator[None]:
    """Within this context norms normalise by each batch; their statistics become the mean over the batches.

    Args:
        norms: The norms, in evaluation mode before and after.
    """
    momenta = [(norm, norm.momentum) for norm in norms]
    for norm, _ in momenta:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over the batches
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in momenta:
            norm.momentum = momentum
            norm.eval()


@torch.no_grad()
def settle(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Set the statistics of every BatchNorm to their mean over batches.

    Args:
        model: The model, which is changed in place.
        batches: Batches of normalised images, each (n, C, H, W).
    """
    with extra_pass(model), gathering(norms_of(model)):
        for images in batches:
            model(images)
