"""What a quantised layer is in integers: the grid of its input and the codes of its weight.

The only place of the exporters that reads the quantisers.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trainables.quantisation.quantisers import Pact, quantiser_of


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The levels of a layer input: (code - zero) * step, for the codes from 0 to `highest`, at most 255.

    A value x becomes the code clip(round(x / step) + zero, 0, highest), where round takes halves to even.
    """

    step: float
    zero: int
    highest: int
    bits: int


@dataclass(frozen=True, kw_only=True)
class Codes:
    """A quantised weight: (codes - zero) * step, with a step and a zero for each output channel."""

    bits: int
    codes: np.ndarray
    """uint8, of the weight's shape, in [0, 2^bits - 1]"""
    zero: np.ndarray
    """float64 (out,): whole numbers, or all of them halves between two"""
    step: np.ndarray
    """float32 (out,)"""

    @property
    def factor(self) -> int:
        """1, or 2 where the levels are halves: twice the level is then an odd integer, at half the step."""
        return 1 if (self.zero == np.round(self.zero)).all() else 2

    @property
    def bounds(self) -> tuple[int, int]:
        """The smallest and the largest of `integers`."""
        integers = self.integers()
        return int(integers.min()), int(integers.max())

    @property
    def fits_int8(self) -> bool:
        """Whether `integers` fit INT8; those of 8 bits with a zero-point for each channel do not."""
        lowest, highest = self.bounds
        return lowest >= -128 and highest <= 127

    def integers(self) -> np.ndarray:
        """Return (codes - zero) * factor, int16 of the weight's shape."""
        shape = (-1,) + (1,) * (self.codes.ndim - 1)
        whole: np.ndarray = np.round((self.codes - self.zero.reshape(shape)) * self.factor)
        return whole.astype(np.int16)


def grid_of(layer: nn.Module) -> Grid | None:
    """Return the grid of a layer's input, None for an input of 32 bits."""
    pact = getattr(layer, "input_quantiser", None)
    if pact is None:
        return None
    assert isinstance(pact, Pact)
    return Grid(
        step=float(np.float32(pact.alpha.item() / pact.top)),
        zero=pact.zero_point,
        highest=2**pact.bits - 1,
        bits=pact.bits,
    )


@torch.no_grad()
def codes_of(layer: nn.Module) -> Codes | None:
    """Return the codes of a layer's weight, None for a weight of 32 bits."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    quantiser, w = quantiser_of(layer)
    q = quantiser.encode(w)
    channels, top = len(w), 2**quantiser.bits - 1
    zero = (
        q.zero.flatten().double().numpy() if isinstance(q.zero, Tensor) else np.full(channels, float(q.zero))
    )
    codes = q.codes.contiguous().numpy().astype(np.uint8)
    step = q.step.flatten().numpy().astype(np.float32)
    turned = step < 0  # a norm with a negative gamma; runtimes want positive steps
    negated = 2 * zero[turned].reshape((-1,) + (1,) * (w.dim() - 1)) - codes[turned]
    if turned.any() and (negated.min() < 0 or negated.max() > top):  # the lowest level has no counterpart
        negated = top - codes[turned]
        zero = np.where(turned, top - zero, zero)
    codes[turned] = negated
    return Codes(bits=quantiser.bits, codes=codes, zero=zero, step=np.abs(step))
