"""Proposals: which configuration to try next.

A sampler says what it would like; what breaks a constraint, since costs are known before training, and what was
proposed before is refused here and never reaches the record.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from search_spaces import Space
from study.search.encoding import Key, Point, identity
from study.search.optuna_samplers import Mirror
from study.search.sms_ego import SmsEgo
from study_common.errors import UserError

PATIENCE = 500
"""Proposals refused in a row before what is left of the space is listed, or given up: more than `SmsEgo` compares."""
ONE_IN = 6
"""Of so many trials one may go on because the sampler would rather: it bounds what a study of so many trials costs."""
LISTED = 10_000
"""The size up to which a finite space is then listed: what a configuration costs is worked out in a millisecond."""


class Sampler(Protocol):
    """What proposals come from. Gains are the objectives, all to be maximised, 1 at the ideal, 0 at the reference."""

    def propose(self) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield configurations, the best first, for as long as the one before is refused.

        With each it says whether it is that of a trial which pauses and should rather go on than another begin.
        """

    def start(self, point: Point) -> None:
        """Take in that `point` runs, whether it was proposed or not, for the first time or after a pause."""

    def measure(self, point: Point, epoch: int, gains: NDArray[np.float64]) -> None:
        """Take in what `point` measured at a rung."""

    def pause(self, point: Point) -> None:
        """Take in that `point` pauses."""

    def end(self, point: Point) -> None:
        """Take in that `point` has ended."""


class Proposals:
    """The source of configurations of one study.

    `refused` counts what it kept back, an infeasible configuration of a space that can be listed once a driver, and
    `resumed_by_sampler` what it let go on in place of a new one.
    """

    def __init__(
        self,
        space: Space,
        sampler: Sampler | None,
        queue: Iterable[Point] = (),
        is_feasible: Callable[[Point], bool] = lambda point: True,
    ) -> None:
        """`queue` comes first. Without a sampler the space is listed in order."""
        self.rejected = {"infeasible": 0, "repeat": 0}
        self.resumed_by_sampler = 0
        self._space = space
        self._sampler = sampler
        self._is_feasible = is_feasible
        self._queue = list(queue)
        self._seen: set[Key] = set()
        self._infeasible: set[Key] = set()
        self._listed = None if sampler else space.grid()
        size = space.size()
        self._can_be_listed = size is not None and size <= LISTED

    def next(self) -> dict[str, Any] | None:
        """Return a feasible configuration that was not proposed before, or None: the space is exhausted.

        Or return one that pauses, if the sampler would rather have it go on than begin the next new one.

        Raises ValueError if the constraints leave nothing, or next to nothing, of an infinite or large space.
        """
        while self._queue:
            if self._is_new(point := self._queue.pop(0)):
                self.start(point)
                return dict(point)
        if self._sampler and self._listed is None:
            rather = None
            for point, pauses in islice(self._sampler.propose(), PATIENCE):
                if pauses and self.resumed_by_sampler < len(self._seen) // ONE_IN:
                    rather = rather or point
                elif not pauses and self._is_new(point):
                    self.resumed_by_sampler += rather is not None
                    self.start(rather or point)
                    return rather or point
            if not self._can_be_listed:
                raise UserError(
                    f"the last {PATIENCE} proposals were infeasible or repeats; loosen --max-bops or --max-size"
                )
        self._listed = self._listed or self._space.grid()
        for left in self._listed:
            if identity(left) not in self._seen and self._is_new(left):
                self.start(left)
                return left
        return None

    def start(self, point: Point) -> None:
        """Take in that `point` runs, for the first time or after a pause."""
        self._seen.add(identity(point))
        if sampler := self._sampler_of(point):
            sampler.start(point)

    def measure(self, point: Point, epoch: int, gains: Iterable[float]) -> None:
        """Take in what `point` measured at a rung."""
        if sampler := self._sampler_of(point):
            sampler.measure(point, epoch, np.array(gains))

    def pause(self, point: Point) -> None:
        """Take in that `point` pauses."""
        if sampler := self._sampler_of(point):
            sampler.pause(point)

    def end(self, point: Point) -> None:
        """Take in that `point` has ended."""
        if sampler := self._sampler_of(point):
            sampler.end(point)

    def _sampler_of(self, point: Point) -> Sampler | None:
        """Return the sampler if it can place `point`: the float corner need not be in the space."""
        return self._sampler if point in self._space else None

    def _is_new(self, point: Point) -> bool:
        """Tell whether `point` is feasible and was not proposed before; count why not."""
        key = identity(point)
        if key in self._seen:
            self.rejected["repeat"] += 1
            return False
        if key in self._infeasible:
            return False
        if not self._is_feasible(point):
            self.rejected["infeasible"] += 1
            if self._can_be_listed:  # else hardly any comes twice
                self._infeasible.add(key)
            return False
        return True


def make_sampler(name: str, space: Space, objectives: int, seed: int, epochs: int) -> Sampler | None:
    """Return the sampler behind a name of --sampler; None for "grid", and for a space that lists its points."""
    if name == "grid" or space.points:
        return None
    if name == "sms_ego":
        return SmsEgo(space, objectives, seed, epochs)
    return Mirror(space, name, objectives, seed, epochs)
