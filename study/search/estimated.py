"""Which configurations to estimate with a shared model, and which of them deserve a trial.

All configurations are estimated if that costs at most a quarter of the training of the shared model. Otherwise as many
as that allows: first the corners and random ones; then, round by round, changes of those that look best so far (an
evolutionary search, with the selection of SMS-EMOA). They differ in what a trained shared model can answer for: the
widths, and `alpha_init`, which multiplies the learned alphas. Other parameters have the values of its training.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

import trainables
from search_spaces import Choice, Domain, Point
from study.search.encoding import identity
from study.search.feasible import FeasibleSpace
from study.search.ranking import best, hypervolume_improvements
from study.store.request import Request

Array = NDArray[np.float64]
MAX_ESTIMATED = 1000
"""Configurations that are estimated at most."""
ROUNDS = 5
"""Of a space that has more than can be estimated; the first is random."""
PARENTS = 40
"""The best so far, of which those of the next round are changes."""
TRIES = 50
"""Draws of a new configuration before a round ends with fewer."""
ALPHA = "alpha_init"
LEVELS = 5
"""Values of a range of `ALPHA` that are estimated, beside the central one."""


@dataclass(frozen=True)
class Estimable:
    """The configurations of a study that differ in widths and `ALPHA` alone."""

    space: FeasibleSpace
    others: Mapping[str, Any]
    """The values of the other parameters."""
    alpha: Mapping[str, float]
    """The central value of `ALPHA`, that of the shared model; empty if the space does not vary it."""
    most: int
    """Configurations that are estimated at most."""

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return those of a study with --init shared."""
        shared = request.start()
        assert shared
        others, domain = dict(request.central), request.space.parameters.get(ALPHA)
        acts = domain and not domain.when and shared.alpha_start == "init"
        alpha = {ALPHA: others.pop(ALPHA)} if acts else {}
        space = request.space.fix(others)
        if domain and alpha:
            levels = Choice(values=_levels(domain, alpha[ALPHA]))
            space = replace(space, parameters={**space.parameters, ALPHA: levels})
        fixed = replace(request, space=space, fixed={**request.fixed, **others})
        most = trainables.affordable(shared.epochs, request.data["train"], request.data["validation"])
        feasible = FeasibleSpace(space, fixed if request.constraints else None)
        return cls(feasible, others, alpha, min(MAX_ESTIMATED, most))

    def point(self, varied: Mapping[str, Any]) -> dict[str, Any]:
        """Return the whole configuration with these widths and this `ALPHA`."""
        return {**self.others, **varied}

    def next(self, known: Sequence[Point], gains: Array, seed: int) -> list[dict[str, Any]]:
        """Return the widths, and the `ALPHA`, to estimate next; none if there are enough.

        Args:
            known: Those that were estimated, (n,).
            gains: Their gains, (n, m).
            seed: Of the random draws.
        """
        seen = {identity(point) for point in known}
        if (whole := self.space.up_to(self.most)) is not None:
            return [point for point in whole if identity(point) not in seen]
        random = np.random.default_rng([seed, len(known)])
        count = min(-(-self.most // ROUNDS), self.most - len(known))
        return list(islice(self._new(known, gains, seen, random), max(0, count)))

    def _new(
        self, known: Sequence[Point], gains: Array, seen: set[Any], random: np.random.Generator
    ) -> Iterator[dict[str, Any]]:
        """Yield new feasible ones: the corners and random ones, or changes of the best of `known`."""
        widths = self.space.space.widths()
        domains = self.space.space.parameters
        values = {name: domains[name].finite() or () for name in (*widths, *self.alpha)}
        parents = [known[i] for i in best(gains, min(PARENTS, len(known)))] if len(known) else []
        corners = ({**{n: pick(w) for n, w in widths.items()}, **self.alpha} for pick in (min, max))
        first: list[dict[str, Any]] = [] if parents else list(corners)
        for _ in range(self.most * TRIES):
            point = first.pop() if first else {n: v[random.integers(len(v))] for n, v in values.items()}
            if parents:
                point = dict(parents[random.integers(len(parents))])
                for name in random.choice(
                    list(values), min(random.geometric(0.5), len(values)), replace=False
                ):
                    point[str(name)] = values[name][random.integers(len(values[name]))]
            found = self.space.project(point, random)
            if found is not None and identity(found) not in seen:
                seen.add(identity(found))
                yield found


def _levels(domain: Domain, central: float) -> tuple[float, ...]:
    """Return the values of a finite domain; of a range `LEVELS`, from end to end, and the central one.

    >>> from search_spaces import Float
    >>> [round(level, 2) for level in _levels(Float(low=0.5, high=8.0, log=True), 3.0)]
    [0.5, 1.0, 2.0, 3.0, 4.0, 8.0]
    """
    if isinstance(domain, Choice) or domain.finite():
        return tuple(map(float, domain.finite() or ()))
    space = np.geomspace if domain.log else np.linspace
    return tuple(sorted({*map(float, space(domain.low, domain.high, LEVELS)), central}))


def promising(points: Sequence[Point], gains: Array, count: int) -> list[Point]:
    """Return those of the estimated points that together have the most hypervolume, the greatest addition first.

    Args:
        points: What was estimated, (n,).
        gains: Their gains, (n, m); a row that is not finite is left out.
        count: How many to return at most; there are fewer if no other adds anything.

    >>> gains = np.array([[0.9, 0.1], [0.5, 0.5], [0.4, 0.4], [0.1, 0.9]])
    >>> promising(["a", "b", "c", "d"], gains, 3)
    ['b', 'a', 'd']
    """
    finite = np.flatnonzero(np.isfinite(gains).all(axis=1))
    left, rows = [points[int(i)] for i in finite], gains[finite]
    chosen: list[Point] = []
    front = np.empty((0, gains.shape[1]))
    while len(chosen) < count and left:
        added = hypervolume_improvements(rows, front)
        if added.max() <= 0:
            break
        front = np.vstack([front, rows[[added.argmax()]]])
        chosen.append(left[int(added.argmax())])
    return chosen
