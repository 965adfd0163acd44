"""Whether an exported graph computes what the PyTorch model computes; one that does not is not written.

A number beside a rounding edge may fall to the other side when sums are added in another order, and the levels behind
follow. So single images may differ, which a wrong graph never stops at: it differs on most of them. How many images a
model of many layers changes by rounding alone, its own logits in double precision show.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from study_common.errors import StudyWarning, UserError

SAME_CLASS = 0.99
"""The least share of images with the same class; the check has few images, so it is below what is measured on many."""
ERROR = 0.1
"""The largest root mean square of the differences of logits, over the standard deviation of the logits."""


@dataclass(frozen=True, kw_only=True)
class Parity:
    """How near the logits of a graph are to those of the model."""

    images: int
    same_class: float
    """The share of images of the same class."""
    error: float
    """The root mean square of the differences, over the standard deviation of the model's logits."""
    largest: float
    """The largest absolute difference."""


def compare(expected: np.ndarray, found: np.ndarray) -> Parity:
    """Compare logits (n, classes) of a graph with those of the model.

    >>> compare(np.array([[0.0, 1.0], [2.0, 0.0]]), np.array([[0.0, 1.0], [0.0, 2.0]])).same_class
    0.5
    """
    difference = found.astype(np.float64) - expected
    spread = expected.std() or 1.0
    return Parity(
        images=len(expected),
        same_class=float((expected.argmax(1) == found.argmax(1)).mean()),
        error=float(np.sqrt(np.square(difference).mean()) / spread),
        largest=float(np.abs(difference).max()),
    )


def require(parity: Parity, file: str, how: str, rounding: Callable[[], Parity]) -> None:
    """Raise UserError unless a graph that is to become `file` agrees with the model.

    Args:
        parity: How near the graph is.
        file: The name of the file.
        how: How the graph was run.
        rounding: How near the model in double precision is, which is asked for only if the graph is not near enough. A
            graph may change as many classes again as rounding alone does, with a warning.
    """
    if parity.same_class >= SAME_CLASS and parity.error <= ERROR:
        return
    own = rounding().same_class
    found = (
        f"{how} it gives {parity.same_class:.1%} of {parity.images} images the same class as the model (logits differ "
        f"by {parity.error:.3f} of their deviation), and the model in double precision {own:.1%}"
    )
    if parity.error <= ERROR and 1 - parity.same_class <= 2 * (1 - own):
        warnings.warn(
            f"{file}: {found}: its classes depend on single roundings; train longer, or give it other widths",
            StudyWarning, stacklevel=2,
        )  # fmt: skip
        return
    raise UserError(
        f"{file} was not written: {found}; use another release of the runtime, or leave this --format out"
    )
