"""The running statistics of BatchNorm, taken anew from images instead of from what training left.

A step moves them a tenth of the way. After the few steps of a small set they are mostly those of a network that has
long changed, and an epoch would be measured with them. Neither the weights nor their codes hang on them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

IMAGES = 512
"""So many are enough for a mean and a variance."""


def norms_of(model: nn.Module) -> list[nn.BatchNorm2d]:
    """Every BatchNorm of the model."""
    return [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]


@contextmanager
def gathering(norms: Iterable[nn.BatchNorm2d]) -> Iterator[None]:
    """Let the norms of a model in evaluation mode normalise by each batch and take up the mean of its statistics."""
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
    """Give every BatchNorm the mean of its statistics over batches of images (n, C, H, W); evaluation mode after."""
    model.eval()
    with gathering(norms_of(model)):
        for images in batches:
            model(images)
