"""What a sampler is: where the proposals of a study come from."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from search_spaces import Point


@dataclass(frozen=True)
class Proposal:
    """A configuration to try next."""

    point: dict[str, Any]
    is_paused: bool = False
    """True: resume this paused trial instead of starting a new one."""


class Sampler(ABC):
    """Proposes configurations and learns from what becomes of them.

    Gains are the objectives, all to be maximised, 1 at the ideal and 0 at the reference.
    """

    @abstractmethod
    def propose(self) -> Proposal:
        """Return the best proposal that was not made since the last event of a trial; there is always one."""

    @abstractmethod
    def reject(self, proposal: Proposal) -> None:
        """Learn that the last proposal is rejected because it breaks a constraint or was tried before."""

    @abstractmethod
    def start(self, point: Point) -> None:
        """Learn that `point` starts or is resumed, whether it was proposed or not."""

    @abstractmethod
    def measure(
        self, point: Point, epoch: int, gains: NDArray[np.float64], errors: NDArray[np.float64]
    ) -> None:
        """Learn what `point` measured at a rung: `gains` (m,) with standard `errors` (m,), 0 if unknown."""

    @abstractmethod
    def pause(self, point: Point) -> None:
        """Learn that `point` pauses at a rung."""

    @abstractmethod
    def end(self, point: Point) -> None:
        """Learn that `point` has ended."""
