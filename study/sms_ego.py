"""The default sampler: the configuration that would add most hypervolume if it were as good as it may well be.

SMS-EGO (Ponweiser et al., "Multiobjective optimization on a limited budget of evaluations using model-assisted
S-metric selection", PPSN 2008) with a `Surrogate` of every objective. It learns from all rungs, so from trials that
were stopped early too, and believes that running trials end as predicted, so that workers do not all try the same.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import moocore
import numpy as np
from numpy.typing import NDArray

from search_spaces import Space
from study.encoding import encode, from_unit, to_unit
from study.ranking import best
from study.surrogate import Surrogate

Point = Mapping[str, Any]
Array = NDArray[np.float64]

START = 6
"""Measured trials before which proposals are random."""
CANDIDATES = 120
"""Configurations that are compared: half random, half changes of the best trials."""
LISTED = 400
"""The size up to which a finite space is compared whole instead."""
PARENTS = 20
"""The best trials, of which candidates are changes."""
MODELLED = 100
"""Trials that the surrogates are fitted to: the latest, and `PARENTS` of the best."""
BELIEVED = 64
"""Running trials that are believed to end as predicted."""
STEP = 0.15
"""The standard deviation of a small change, of a range of 1."""
REFIT = 1.2
"""By what factor the measurements grow before length scale and noise are chosen anew."""


@dataclass
class _Trial:
    point: Point
    place: Array
    """`point` in the unit cube."""
    measured: dict[int, Array] = field(default_factory=dict)
    """Gains by epoch."""
    running: bool = True


class SmsEgo:
    """A `study.sampling.Sampler`."""

    def __init__(self, space: Space, objectives: int, seed: int, epochs: int) -> None:
        self._space = space
        self._objectives = objectives
        self._epochs = epochs
        self._random = np.random.default_rng(seed)
        self._trials: dict[frozenset[tuple[str, Any]], _Trial] = {}
        self._settings: list[tuple[float, float]] = []
        self._chosen_for = 0

    def start(self, point: Point) -> None:
        """Take in that `point` runs."""
        self._trials[frozenset(point.items())] = _Trial(point, encode(self._space, point))

    def measure(self, point: Point, epoch: int, gains: Array) -> None:
        """Take in what `point` measured at a rung; what is not finite is left out."""
        if np.isfinite(gains).all():
            self._trials[frozenset(point.items())].measured[epoch] = gains

    def end(self, point: Point) -> None:
        """Take in that `point` does not run any more."""
        self._trials[frozenset(point.items())].running = False

    def propose(self) -> Iterator[dict[str, Any]]:
        """Yield configurations, the most promising first, and then random ones for ever."""
        measured = [trial for trial in self._trials.values() if trial.measured]
        if len(measured) >= START:
            yield from self._ranked(measured)
        while True:
            yield self._complete({}, change=lambda name: True)

    def _ranked(self, measured: list[_Trial]) -> list[dict[str, Any]]:
        """Return candidates by the hypervolume that they would add, the greatest first."""
        ended = [trial for trial in measured if self._epochs in trial.measured]
        parents = _best(ended, self._epochs) or measured[-PARENTS:]
        candidates = self._candidates(parents)
        if not candidates:
            return []
        models = self._models(parents + [trial for trial in measured[-MODELLED:] if trial not in parents])
        running = [trial.place for trial in self._trials.values() if trial.running][-BELIEVED:]
        hopes = np.empty((len(candidates), self._objectives))
        beliefs = np.empty((len(running), self._objectives))
        places = np.array([encode(self._space, point) for point in candidates])
        for objective, model in enumerate(models):
            if running:
                beliefs[:, objective], _ = model.predict(np.array(running))
                model = model.believing(np.array(running), beliefs[:, objective])
            mean, deviation = model.predict(places)
            hopes[:, objective] = np.minimum(mean + deviation, 1.0)
        reached = np.array([trial.measured[self._epochs] for trial in ended]).reshape(-1, self._objectives)
        added = _added_hypervolume(hopes, np.vstack([reached, beliefs]))
        return [candidates[i] for i in np.lexsort((-hopes.sum(axis=1), -added))]

    def _models(self, trials: list[_Trial]) -> list[Surrogate]:
        """Return a surrogate of each objective; the choice of scale and noise is costly, and repeated now and then."""
        rows = [(t.place, self._level(epoch), gains) for t in trials for epoch, gains in t.measured.items()]
        places, levels, gains = (np.array(column) for column in zip(*rows, strict=True))
        if len(self._trials) >= self._chosen_for * REFIT:
            self._chosen_for = len(self._trials)
            models = [Surrogate.fit_best(places, levels, values) for values in gains.T]
            self._settings = [(model.scale, model.noise) for model in models]
            return models
        settings = zip(gains.T, self._settings, strict=True)
        return [Surrogate.fit(places, levels, values, scale, noise) for values, (scale, noise) in settings]

    def _level(self, epoch: int) -> float:
        return math.log(epoch) / math.log(self._epochs) if self._epochs > 1 else 1.0

    def _candidates(self, parents: list[_Trial]) -> list[dict[str, Any]]:
        """Return configurations that were not tried: all of a small space, else random ones and changes of `parents`."""
        size = self._space.size()
        if size is not None and size <= LISTED:
            found = list(self._space.grid())
        else:
            found = [self._complete({}, change=lambda name: True) for _ in range(CANDIDATES // 2)]
            found += [
                self._changed(parents[i].point)
                for i in self._random.integers(len(parents), size=CANDIDATES // 2)
            ]
        return [point for point in found if frozenset(point.items()) not in self._trials]

    def _changed(self, point: Point) -> dict[str, Any]:
        """Return `point` with one parameter changed, or now and then more."""
        names = list(self._space.parameters)
        count = min(self._random.geometric(0.6), len(names))
        chosen = set(self._random.choice(names, size=count, replace=False))
        return self._complete(point, change=lambda name: name in chosen)

    def _complete(self, point: Point, change: Callable[[str], bool]) -> dict[str, Any]:
        """Return `point` with every active parameter: those to `change` moved or drawn anew, those it lacks drawn."""
        found: dict[str, Any] = {}
        for name, domain in self._space.parameters.items():
            if not self._space.active(name, found):
                continue
            if name in point and not change(name):
                found[name] = point[name]
                continue
            place = self._random.random()
            if name in point and self._random.random() < 0.5:
                place = to_unit(domain, point[name]) + STEP * self._random.standard_normal()
            found[name] = from_unit(domain, min(max(place, 0.0), 1.0))
        return found


def _best(trials: list[_Trial], epoch: int) -> list[_Trial]:
    if not trials:
        return []
    chosen = best(np.array([trial.measured[epoch] for trial in trials]), min(PARENTS, len(trials)))
    return [trials[i] for i in chosen]


def _added_hypervolume(hopes: Array, front: Array) -> Array:
    """Return by how much each row of `hopes` (n, m) would enlarge the hypervolume of `front` (k, m) above 0."""
    front = front[(front > 0).all(axis=1)]
    if len(front):
        front = moocore.filter_dominated(front, maximise=True)
    volume = _hypervolume(front)
    added = np.zeros(len(hopes))
    for i, hope in enumerate(hopes):
        if (hope > 0).all() and not (front >= hope).all(axis=1).any():
            added[i] = _hypervolume(np.vstack([front, hope])) - volume
    return added


def _hypervolume(points: Array) -> float:
    return float(moocore.hypervolume(points, ref=0.0, maximise=True)) if len(points) else 0.0
