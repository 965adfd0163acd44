"""The non-dominated layers of a rung, kept up to date as trials come and go.

To rank all of 100,000 trials takes a second or more, at every report of a trial. One more trial changes few layers: the
one that it enters, and those behind it from which others move (Li et al., "Efficient Nondomination Level Update Method
for Steady-State Evolutionary Multiobjective Optimization", IEEE Transactions on Cybernetics, 2017).
"""

from collections.abc import Iterable, Mapping

import moocore
import numpy as np
from numpy.typing import NDArray

from study.search.ranking import EXACT_UP_TO, exclusive_hypervolumes, hypervolume_improvements

Points = NDArray[np.float64]

SMALL = 64
"""Members up to which the hypervolumes of a layer are always those of the present members."""
STALE = 16
"""Those of a larger layer are computed anew once one in so many members has changed; until then new ones are added."""


class Layers:
    """Trials in layers of equal non-dominated rank, every gain to be maximised; those that wait are known.

    Args:
        gains: Those of each trial, by number; what is not a finite number is worse than any number.
        waiting: The numbers of trials that wait.
    """

    def __init__(self, gains: Mapping[int, Iterable[float]], waiting: Iterable[int] = ()) -> None:
        numbers = np.array(list(gains), int)
        points = np.array([list(one) for one in gains.values()])
        self._worst = 0.0
        self._layers: list[_Layer] = []
        self._at: dict[int, _Layer] = {}
        if len(numbers):
            points = self._ordered(points)
            ranks = moocore.pareto_rank(np.where(np.isfinite(points), points, self._worst - 1), maximise=True)
            for rank in range(ranks.max() + 1):
                self._append(numbers[ranks == rank], points[ranks == rank])
        for number in waiting:
            self.wait(number)

    def __len__(self) -> int:
        return len(self._at)

    def ranks(self) -> dict[int, int]:
        """Return the rank of each trial, from 0."""
        return {int(number): rank for rank, layer in enumerate(self._layers) for number in layer.numbers}

    def wait(self, number: int) -> None:
        """Let a trial wait."""
        self._at[number].waiting.add(number)

    def go_on(self, number: int) -> None:
        """Let a trial wait no longer."""
        self._at[number].waiting.discard(number)

    def add(self, number: int, gains: Iterable[float]) -> None:
        """Add a trial."""
        points = self._ordered(np.array([list(gains)]))
        numbers, waiting = np.array([number]), set[int]()
        low, high = 0, len(self._layers)
        while low < high:  # every layer before one that dominates it dominates it too
            middle = (low + high) // 2
            if _dominated(points, self._layers[middle].points)[0]:
                low = middle + 1
            else:
                high = middle
        for layer in self._layers[low:]:
            leaving = _dominated(layer.points, points)
            left = layer.take(leaving)
            self._put(layer, numbers, points, waiting)
            numbers, points, waiting = left
            if not len(numbers):
                return
        self._put(self._append(np.empty(0, int), points[:0]), numbers, points, waiting)

    def remove(self, number: int) -> None:
        """Remove a trial; others take its place."""
        layer = self._at.pop(number)
        _, points, _ = layer.take(layer.numbers == number)
        rank = self._layers.index(layer)
        for before, behind in zip(self._layers[rank:], self._layers[rank + 1 :], strict=False):
            free = _dominated(behind.points, points) & ~_dominated(behind.points, before.points)
            numbers, points, waiting = behind.take(free)
            if not len(numbers):
                break
            self._put(before, numbers, points, waiting)
        if self._layers and not len(self._layers[-1].numbers):
            self._layers.pop()

    def first_waiting(self, count: int) -> int | None:
        """Return the first trial that waits of the best `count`, in the order of `ranking.best`; None if none does."""
        inner: list[int] = []
        count = min(count, len(self._at))
        for layer in self._layers:
            if len(layer.numbers) >= count:
                if inner:
                    break
                return layer.first_waiting(count, self._worst - 1) if layer.waiting and count > 0 else None
            inner += layer.waiting
            count -= len(layer.numbers)
        return min(inner, default=None)

    def _ordered(self, points: Points) -> Points:
        """Return `points` with minus infinity for what is not finite."""
        finite = np.isfinite(points)
        self._worst = min(self._worst, points[finite].min(initial=0.0))
        return np.where(finite, points, -np.inf)

    def _append(self, numbers: NDArray[np.int64], points: Points) -> "_Layer":
        self._layers.append(_Layer(points.shape[1]))
        self._put(self._layers[-1], numbers, points, set())
        return self._layers[-1]

    def _put(self, layer: "_Layer", numbers: NDArray[np.int64], points: Points, waiting: set[int]) -> None:
        layer.put(numbers, points, waiting)
        self._at |= dict.fromkeys(numbers.tolist(), layer)


class _Layer:
    """Trials that do not dominate each other."""

    def __init__(self, m: int) -> None:
        self.numbers = np.empty(0, int)
        self.points = np.empty((0, m))
        self.waiting: set[int] = set()
        self._volumes: dict[int, float] = {}
        """The exclusive hypervolumes of members, as of when they were computed."""
        self._changes = 0
        """Members that have come and gone since."""

    def put(self, numbers: NDArray[np.int64], points: Points, waiting: set[int]) -> None:
        """Add trials."""
        order = np.argsort(merged := np.append(self.numbers, numbers), kind="stable")
        self.numbers, self.points = merged[order], np.vstack([self.points, points])[order]
        self.waiting |= waiting
        self._changes += len(numbers)

    def take(self, which: NDArray[np.bool_]) -> tuple[NDArray[np.int64], Points, set[int]]:
        """Remove trials, and return them."""
        numbers, points = self.numbers[which], self.points[which]
        if len(numbers):
            waiting = self.waiting.intersection(numbers.tolist())
            self.waiting -= waiting
            self.numbers, self.points = self.numbers[~which], self.points[~which]
            self._changes += len(numbers)
            return numbers, points, waiting
        return numbers, points, set()

    def first_waiting(self, count: int, worst: float) -> int | None:
        """Return the first trial that waits of the `count` that add most to the hypervolume of the layer.

        Args:
            count: How many.
            worst: What stands for a gain that is not finite.
        """
        volumes = self._exclusive(np.maximum(self.points, worst))
        best = np.argsort(-volumes, kind="stable")[:count]
        return next((number for number in self.numbers[best].tolist() if number in self.waiting), None)

    def _exclusive(self, points: Points) -> Points:
        points = points[:, np.ptp(points, axis=0) > 0]
        if not points.size:
            return np.zeros(len(points))
        numbers = self.numbers.tolist()
        is_small = len(numbers) <= SMALL or points.shape[1] > EXACT_UP_TO
        if is_small or not self._volumes or STALE * self._changes > len(numbers):
            self._volumes = dict(zip(numbers, exclusive_hypervolumes(points).tolist(), strict=True))
            self._changes = 0
        above = points - np.minimum(points.min(axis=0), 0.0)
        for row, number in enumerate(numbers):
            if number not in self._volumes:
                others = np.delete(above, row, axis=0)
                self._volumes[number] = float(hypervolume_improvements(above[row : row + 1], others)[0])
        return np.array([self._volumes[number] for number in numbers])


def _dominated(points: Points, by: Points) -> NDArray[np.bool_]:
    """Return which of `points` (n, m) are dominated by any of `by` (k, m), (n,)."""
    found = np.zeros(len(points), bool)
    few, many = (points, by) if len(points) <= len(by) else (by, points)
    for row, one in enumerate(few):
        if many is by:
            found[row] = ((by >= one).all(axis=1) & (by > one).any(axis=1)).any()
        else:
            found |= (one >= points).all(axis=1) & (one > points).any(axis=1)
    return found
