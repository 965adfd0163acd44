"""The running statistics of BatchNorm, measured again on training images before each evaluation.

A training step moves them by a tenth. After the few steps of a small data set they mostly describe a network that has
changed since. Neither the weights nor their codes depend on them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from trainables.models.passes import extra_pass

IMAGES = 512
"""Images that the statistics are measured on; more change them little."""


def norms_of(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Every BatchNorm of the model."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@contextmanager
def gathering(norms: Iterable[nn.BatchNorm2d]) -> Iterator[None]:
    """Let norms normalise by each batch, and set their statistics to the mean over the batches.

    The norms are in evaluation mode before and after.
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
    """Give every BatchNorm the mean of its statistics over batches of images (n, C, H, W)."""
    with extra_pass(model), gathering(norms_of(model)):
        for images in batches:
            model(images)
