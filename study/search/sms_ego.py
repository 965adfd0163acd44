"""The default sampler: the configuration that would add most hypervolume if it were as good as it may well be.

SMS-EGO (Ponweiser et al., "Multiobjective optimization on a limited budget of evaluations using model-assisted
S-metric selection", PPSN 2008) with a `Surrogate` of each objective, over a sample of candidates. The bound is mean
plus one standard deviation; candidates that would add nothing are ordered by the sum of their bounds, where the paper
has a penalty. It learns from all rungs, so from trials that pause or were stopped too, and believes that running trials
end as predicted, so that workers do not all try the same. Of the trials that it learns from, one that pauses is a
candidate like any other (Swersky, Snoek and Adams, "Freeze-Thaw Bayesian Optimization", 2014).
"""

import math
from collections import deque
from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from search_spaces import Space
from study.search.encoding import Key, Point, encode, from_unit, identity, to_unit
from study.search.ranking import best, hypervolume_improvements
from study.search.surrogate import Places, Setting, Surrogate, choose

Array = NDArray[np.float64]

START = 6
"""Measured trials before which proposals are random."""
CANDIDATES = 120
"""Configurations that are compared: half random, half changes of the best trials."""
LISTED = 400
"""The size up to which a finite space is compared whole instead."""
PARENTS = 20
"""The best trials, of which candidates are changes."""
MODELLED = 60
"""Trials that the surrogates are fitted to: the latest, and `PARENTS` of the best."""
BELIEVED = 64
"""Running trials that are believed to end as predicted."""
STEP = 0.15
"""The standard deviation of a small change, of a range of 1."""
BLAS = ThreadpoolController()
"""Of small matrices: a second thread would only wait for a core that trains."""
REFIT = 1.2
"""By what factor the trials grow before the settings of the surrogates are chosen anew."""


@dataclass(eq=False)
class _Trial:
    point: Point
    vector: Array
    """`point` in the unit cube."""
    measured: dict[int, Array] = field(default_factory=dict)
    """Gains by epoch."""


class SmsEgo:
    """A `study.search.proposals.Sampler`."""

    def __init__(self, space: Space, objectives: int, seed: int, epochs: int) -> None:
        self._space = space
        self._objectives = objectives
        self._epochs = epochs
        self._random = np.random.default_rng(seed)
        self._trials: dict[Key, _Trial] = {}
        self._running: dict[Key, _Trial] = {}
        self._paused: set[Key] = set()
        self._refused: set[Key] = set()
        """What was proposed in vain, since it is infeasible, of a space that is compared whole."""
        size = space.size()
        self._is_compared_whole = size is not None and size <= LISTED
        self._recent: deque[_Trial] = deque(maxlen=MODELLED)
        """The trials that measured something last."""
        self._parents: list[_Trial] = []
        """The best of the trials that measured the last rung."""
        self._front = np.empty((0, objectives))
        self._settings: list[Setting] = []
        """Of the surrogates, one an objective."""
        self._chosen_for = 0

    def start(self, point: Point) -> None:
        """Take in that `point` runs, for the first time or after a pause."""
        key = identity(point)
        self._running[key] = self._trials.setdefault(key, _Trial(point, encode(self._space, point)))
        self._paused.discard(key)

    def measure(self, point: Point, epoch: int, gains: Array) -> None:
        """Take in what `point` measured at a rung; what is not finite is left out."""
        if not np.isfinite(gains).all():
            return
        trial = self._trials[identity(point)]
        if not trial.measured:
            self._recent.append(trial)
        trial.measured[epoch] = gains
        if epoch == self._epochs:
            self._parents = _best([*self._parents, trial], epoch)
            self._front = moocore.filter_dominated(np.vstack([self._front, gains]), maximise=True)

    def pause(self, point: Point) -> None:
        """Take in that `point` pauses; from now on it is a candidate."""
        self.end(point)
        self._paused.add(identity(point))

    def end(self, point: Point) -> None:
        """Take in that `point` does not run any more."""
        del self._running[identity(point)]

    def propose(self) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield configurations, the most promising first, and then random ones for ever; with each, if it pauses."""
        if len(self._recent) >= START:
            with BLAS.limit(limits=1):
                ranked = self._ranked()
            for point in ranked:
                pauses = (key := identity(point)) in self._paused
                yield point, pauses
                if self._is_compared_whole and not pauses:
                    self._refused.add(key)
        while True:
            yield self._complete({}), False

    def _ranked(self) -> list[dict[str, Any]]:
        """Return candidates by the hypervolume that they would add, the greatest first."""
        candidates = self._candidates(self._parents or list(self._recent))
        if not candidates:
            return []
        models = self._models([*self._parents, *(t for t in self._recent if t not in self._parents)])
        vectors = np.array([encode(self._space, point) for point in candidates])
        bounds = np.minimum(np.column_stack([sum(model.predict(vectors)) for model in models]), 1.0)
        beliefs = np.column_stack([model.beliefs for model in models])
        improvements = hypervolume_improvements(bounds, np.vstack([self._front, beliefs]))
        return [candidates[i] for i in np.lexsort((-bounds.sum(axis=1), -improvements))]

    def _models(self, trials: list[_Trial]) -> list[Surrogate]:
        """Return a surrogate of each objective; their settings are chosen anew only now and then."""
        rows = [
            (row, self._fidelity(epoch), values)
            for row, trial in enumerate(trials)
            for epoch, values in trial.measured.items()
        ]
        which, fidelities, gains = (np.array(column) for column in zip(*rows, strict=True))
        measured = Places(np.array([trial.vector for trial in trials]), which, fidelities)
        if len(self._trials) >= self._chosen_for * REFIT:
            self._chosen_for = len(self._trials)
            self._settings = choose(measured, gains)
        running = [trial.vector for trial in self._running.values()][-BELIEVED:]
        pending = np.array(running).reshape(-1, measured.points.shape[1])
        return [
            Surrogate.fit(measured, values, pending, setting)
            for values, setting in zip(gains.T, self._settings, strict=True)
        ]

    def _fidelity(self, epoch: int) -> float:
        return math.log(epoch) / math.log(self._epochs) if self._epochs > 1 else 1.0

    def _candidates(self, parents: list[_Trial]) -> list[dict[str, Any]]:
        """Return what pauses and what was not tried: all of a small space, else random or `parents` changed."""
        if self._is_compared_whole:
            found = list(self._space.grid())
        else:
            found = [self._complete({}) for _ in range(CANDIDATES // 2)]
            found += [
                self._changed(parents[i].point)
                for i in self._random.integers(len(parents), size=CANDIDATES // 2)
            ]
        known = self._trials.keys() | self._refused
        new = [point for point in found if identity(point) not in known]
        paused = [dict(t.point) for t in self._recent if identity(t.point) in self._paused]
        return paused + new

    def _changed(self, point: Point) -> dict[str, Any]:
        """Return `point` with one parameter changed, or now and then more."""
        names = list(self._space.parameters)
        count = min(self._random.geometric(0.6), len(names))
        chosen = set(self._random.choice(names, size=count, replace=False))
        return self._complete(point, chosen)

    def _complete(self, point: Point, changed: Container[str] = ()) -> dict[str, Any]:
        """Return `point` with every active parameter: the `changed` moved or drawn anew, those it lacks drawn."""
        found: dict[str, Any] = {}
        for name, domain in self._space.parameters.items():
            if not self._space.active(name, found):
                continue
            if name in point and name not in changed:
                found[name] = point[name]
                continue
            place = self._random.random()
            if name in point and self._random.random() < 0.5:
                place = to_unit(domain, point[name]) + STEP * self._random.standard_normal()
            found[name] = from_unit(domain, min(max(place, 0.0), 1.0))
        return found


def _best(trials: list[_Trial], epoch: int) -> list[_Trial]:
    chosen = best(np.array([trial.measured[epoch] for trial in trials]), min(PARENTS, len(trials)))
    return [trials[i] for i in chosen]
