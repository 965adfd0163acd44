"""Quantised networks with random weights, what they read, and what they answer."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from trainables.deployment.operations import Operation
from trainables.deployment.structure import operations
from trainables.models.catalogue import build, layer_names, norms
from trainables.quantisation.quantisers import calibrate, quantise

PARTS = "tests.trainables.models.nets:Parts"
"""A network of everything that a graph can have beside layers."""
MEAN, STD = (0.3, 0.4, 0.5), (0.2, 0.25, 0.3)


@dataclass
class Example:
    """A model, images, and the model's logits of them."""

    model: nn.Module
    network: list[Operation]
    images: np.ndarray
    logits: np.ndarray
    mean: tuple[float, ...]
    std: tuple[float, ...]


Bits = int | Sequence[int]
"""One width for all layers, or one for each that has one."""


def make(
    name: str,
    size: int,
    w: Bits,
    a: Bits,
    weight_quantiser: str = "lsq",
    *,
    grey: bool = False,
    count: int = 8,
) -> Example:
    """Build a network of these widths, 32 for float, with levels fitted to its images."""
    torch.manual_seed(0)
    channels = 1 if grey else 3
    model = build(name, channels=channels, size=size, classes=5)
    names = layer_names(name)
    quantise(
        model, w_bits=by_layer(names, w), a_bits=by_layer(names[1:], a), alpha=3.0,
        norms=norms(name, channels, size, 5), weight_quantiser=weight_quantiser,
    )  # fmt: skip
    for module in model.modules():
        if isinstance(
            module, nn.BatchNorm1d | nn.BatchNorm2d
        ):  # also negative ones, which a runtime's steps must not be
            nn.init.uniform_(module.weight, -0.5, 1.5)
            nn.init.normal_(module.bias)
    coarse = torch.rand(count, channels, 5, 5)
    images = (255 * nn.functional.interpolate(coarse, size=(size, size), mode="bilinear")).byte()
    mean, std = MEAN[:channels], STD[:channels]
    x = normalised(images, mean, std)
    calibrate(model, x, start="percentile", percentile=99.0)
    model.eval()
    with torch.no_grad():
        logits = model(x).numpy()
    return Example(model, operations(model, (channels, size, 5)), images.numpy(), logits, mean, std)


def normalised(images: torch.Tensor, mean: Sequence[float], std: Sequence[float]) -> torch.Tensor:
    """What the model reads of uint8 images (n, channels, H, W)."""
    return (images.float() / 255 - torch.tensor(mean).view(1, -1, 1, 1)) / torch.tensor(std).view(1, -1, 1, 1)


def by_layer(names: Sequence[str], bits: Bits) -> dict[str, int]:
    """The width of each layer."""
    each = [bits] * len(names) if isinstance(bits, int) else bits
    return dict(zip(names, each, strict=True))


@pytest.fixture(scope="session")
def example() -> Callable[..., Example]:
    return make
