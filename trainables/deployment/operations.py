"""The operations of a model, as every exporter writes them in its own format.

`structure.operations` lists those of a model.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from study_common.errors import UserError
from trainables.deployment.integers import Codes, Grid


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution or a matrix product, with what follows of a BatchNorm folded in."""

    name: str
    codes: Codes | None
    """The weight in integers; None if it is `weight`."""
    weight: np.ndarray
    """float32 (out, in / groups, height, width), or (out, in) of a matrix product"""
    bias: np.ndarray | None
    """float32 (out,)"""
    grid: Grid | None
    """The levels of its input; None for one of 32 bits, and for the image."""
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution."""
        return self.weight.ndim == 4


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One step of the computation."""

    name: str
    kind: str
    """`image`, `layer`, `norm`, `add`, `mul`, `concat` of channels, `max_pool`, `avg_pool`, `mean` over the map,
    `flatten`, or the name of an `ACTIVATIONS`."""
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    """Of its output, without the batch: (channels, height, width) or (features,)."""
    layer: Layer | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of pools: kernel, stride and pads (top, left, bottom, right), of `avg_pool` also counts_padding; of `norm`: scale
    and shift, (channels,); of `mean`: keep; of `flatten`: channels_last."""


def users(network: list[Operation]) -> dict[str, list[Operation]]:
    """Return for each operation, by name, those that read its output."""
    readers: dict[str, list[Operation]] = {step.name: [] for step in network}
    for step in network:
        for name in step.inputs:
            readers[name].append(step)
    return readers


def layers(network: list[Operation]) -> list[Layer]:
    """Return the layers in order."""
    return [step.layer for step in network if step.layer]


def inexpressible(name: str, what: str) -> UserError:
    """Return the error that names an operation, and what it is, that no graph can have."""
    return UserError(
        f"{name} ({what}) has no form in an exported graph; replace it by a layer of docs/edge.md, or export packed"
    )
