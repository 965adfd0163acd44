"""The default sampler: the configuration that adds most hypervolume if its objectives reach their optimistic estimates.

SMS-EGO (Ponweiser et al., "Multiobjective optimization on a limited budget of evaluations using model-assisted
S-metric selection", PPSN 2008) with one `Surrogate` per objective, over a sample of candidates. The optimistic estimate
is the mean plus one standard deviation; what is known without training, such as a cost, is taken as it is. The front
that a candidate enlarges is one of posterior means: a lucky draw on it would hide what is better. Candidates that would
add nothing are ordered by the sum of their estimates; the paper uses a penalty. The sampler learns from all
rungs, including those of paused and stopped trials. It assumes that running trials will measure what it predicts, so
that workers do not all try the same configuration. Paused trials are candidates too (Swersky, Snoek and Adams,
"Freeze-Thaw Bayesian Optimization", 2014).
"""

import math
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController

from search_spaces import Point
from study.search.encoding import Key, encode, from_unit, identity, to_unit
from study.search.feasible import FeasibleSpace
from study.search.ranking import best, hypervolume_improvements
from study.search.sampler import Proposal, Sampler
from study.search.surrogate import Hyperparameters, Inputs, Surrogate, choose

Array = NDArray[np.float64]
Known = Callable[[Point], Array]
"""The gains (m,) of a point that are known without training, such as those of costs; NaN for the others."""

RANDOM_TRIALS = 6
"""Trials that must have measured something before the surrogates are used; until then proposals are random."""
CANDIDATES = 120
"""Configurations that are compared: half random, half changes of the best trials."""
MAX_COMPARED = 400
"""Largest size of a finite space of which all configurations are compared instead."""
PARENTS = 20
"""The best trials, of which candidates are changes."""
MAX_MODELLED = 60
"""Trials that the surrogates are fitted to: that many of the latest, and that many of the best."""
MAX_PENDING = 64
"""Running trials that are assumed to measure what is predicted."""
SMALL_CHANGE = 0.15
"""The standard deviation of a small change, of a range of 1."""
REFIT_GROWTH = 1.2
"""Factor by which the number of trials grows before the hyperparameters are chosen again."""
_BLAS = ThreadpoolController()
"""One BLAS thread is enough for these small matrices; the other cores train."""


@dataclass(eq=False)
class _Trial:
    point: Point
    vector: Array
    """`point` in the unit cube."""
    measured: dict[int, Array] = field(default_factory=dict)
    """Gains by epoch."""
    errors: dict[int, Array] = field(default_factory=dict)
    """Their standard errors by epoch."""


class SmsEgo(Sampler):
    """SMS-EGO as described above."""

    def __init__(
        self, space: FeasibleSpace, objectives: int, seed: int, epochs: int, known: Known | None = None
    ) -> None:
        self._known = known or (lambda point: np.full(objectives, np.nan))
        self._feasible = space
        self._space = space.space
        self._epochs = epochs
        self._random = np.random.default_rng(seed)
        self._trials: dict[Key, _Trial] = {}
        self._running: dict[Key, _Trial] = {}
        self._paused: set[Key] = set()
        self._whole = space.up_to(MAX_COMPARED)
        """All configurations, of a small space."""
        self._recent: deque[_Trial] = deque(maxlen=MAX_MODELLED)
        """The trials that measured something last."""
        self._best: list[_Trial] = []
        """The best of the trials that measured the last rung."""
        self._hyperparameters: list[Hyperparameters] = []
        """One per objective, of its surrogate."""
        self._chosen_for = 0
        self._ranked: deque[Proposal] | None = None
        """The candidates that are left, the most promising first; None: to be compared."""

    def start(self, point: Point) -> None:
        """Count `point` as running: it is assumed to measure what is predicted."""
        key = identity(point)
        self._running[key] = self._trials.setdefault(key, _Trial(point, encode(self._space, point)))
        self._paused.discard(key)
        self._ranked = None

    def measure(self, point: Point, epoch: int, gains: Array, errors: Array) -> None:
        """Learn what `point` measured at a rung; gains that are not finite are left out."""
        if not np.isfinite(gains).all():
            return
        trial = self._trials[identity(point)]
        if not trial.measured:
            self._recent.append(trial)
        trial.measured[epoch] = gains
        trial.errors[epoch] = np.nan_to_num(errors)
        if epoch == self._epochs:
            self._best = _best_of([*self._best, trial], epoch, MAX_MODELLED)
        self._ranked = None

    def pause(self, point: Point) -> None:
        """Make `point` a candidate from now on."""
        self.end(point)
        self._paused.add(identity(point))

    def end(self, point: Point) -> None:
        """Count `point` as running no longer."""
        del self._running[identity(point)]
        self._ranked = None

    def propose(self) -> Proposal:
        """Return the most promising candidate that is left, or a random configuration."""
        if self._ranked is None:
            with _BLAS.limit(limits=1):
                self._ranked = deque(self._rank() if len(self._recent) >= RANDOM_TRIALS else [])
        return self._ranked.popleft() if self._ranked else Proposal(self._complete({}))

    def reject(self, proposal: Proposal) -> None:
        """Do nothing: the next proposal is another one."""

    def _rank(self) -> list[Proposal]:
        """Return candidates by the hypervolume that they would add, the greatest first.

        An objective that has not varied so far is left out. The volume is measured from 0, or from the worst measured
        value of an objective in which nothing is better than 0.
        """
        trials = [*self._best, *(trial for trial in self._recent if trial not in self._best)]
        candidates = self._candidates(_best_of(self._best, self._epochs, PARENTS) or list(self._recent))
        gains = np.array([values for trial in trials for values in trial.measured.values()])
        varies = np.ptp(gains, axis=0) > 0
        if not candidates or not varies.any():
            return candidates
        models = [model for model, varied in zip(self._models(trials), varies, strict=True) if varied]
        exact = self._exact([proposal.point for proposal in candidates])[:, varies]
        vectors = np.array([encode(self._space, proposal.point) for proposal in candidates])
        bounds = np.minimum(np.column_stack([sum(model.predict(vectors)) for model in models]), 1.0)
        bounds = np.where(np.isnan(exact), bounds, exact)
        running = list(self._running.values())[-MAX_PENDING:]
        known = np.vstack([self._means(models, self._best, varies), self._means(models, running, varies)])
        reference = np.where(gains.max(axis=0) <= 0, gains.min(axis=0), 0.0)[varies]
        improvements = hypervolume_improvements(bounds - reference, known - reference)
        return [candidates[i] for i in np.lexsort((-bounds.sum(axis=1), -improvements))]

    def _means(self, models: list[Surrogate], trials: list[_Trial], varies: NDArray[np.bool_]) -> Array:
        """Return what `trials` measure on average after the last epoch, (n, m), of the objectives that vary."""
        if not trials:
            return np.empty((0, len(models)))
        vectors = np.array([trial.vector for trial in trials])
        exact = self._exact([trial.point for trial in trials])[:, varies]
        return np.where(np.isnan(exact), np.column_stack([m.predict(vectors)[0] for m in models]), exact)

    def _exact(self, points: list[Point]) -> Array:
        """Return the gains of `points` that are known without training, (n, m); NaN for the others."""
        return np.array([self._known(point) for point in points])

    def _models(self, trials: list[_Trial]) -> list[Surrogate]:
        """Return a surrogate of each objective; hyperparameters are chosen again only after `REFIT_GROWTH`."""
        rows = [
            (row, self._fidelity(epoch), values, trial.errors[epoch])
            for row, trial in enumerate(trials)
            for epoch, values in trial.measured.items()
        ]
        which, fidelities, gains, errors = (np.array(column) for column in zip(*rows, strict=True))
        measured = Inputs(np.array([trial.vector for trial in trials]), which, fidelities)
        if len(self._trials) >= self._chosen_for * REFIT_GROWTH:
            self._chosen_for = len(self._trials)
            self._hyperparameters = [choose(measured, *one) for one in zip(gains.T, errors.T, strict=True)]
        running = [trial.vector for trial in self._running.values()][-MAX_PENDING:]
        pending = np.array(running).reshape(-1, measured.points.shape[1])
        return [
            Surrogate.fit(measured, values, error, pending, hyperparameters)
            for values, error, hyperparameters in zip(gains.T, errors.T, self._hyperparameters, strict=True)
        ]

    def _fidelity(self, epoch: int) -> float:
        return math.log(epoch) / math.log(self._epochs) if self._epochs > 1 else 1.0

    def _candidates(self, parents: list[_Trial]) -> list[Proposal]:
        """Return paused and untried configurations: all of a small space, else random ones and changed `parents`."""
        found = self._whole
        if found is None:
            found = [self._complete({}) for _ in range(CANDIDATES // 2)]
            found += [
                self._changed(parents[i].point)
                for i in self._random.integers(len(parents), size=CANDIDATES // 2)
            ]
        paused = [trial for trial in self._recent if identity(trial.point) in self._paused]
        return [Proposal(dict(trial.point), is_paused=True) for trial in paused] + [
            Proposal(point) for point in found if identity(point) not in self._trials
        ]

    def _changed(self, point: Point) -> dict[str, Any]:
        """Return `point` with one parameter changed, sometimes more."""
        names = list(self._space.parameters)
        count = min(self._random.geometric(0.6), len(names))
        chosen = set(self._random.choice(names, size=count, replace=False))
        return self._complete(point, chosen)

    def _complete(self, point: Point, changed: Container[str] = ()) -> dict[str, Any]:
        """Return `point` with every active parameter: the `changed` ones moved or redrawn, missing ones drawn."""
        found: dict[str, Any] = {}
        for name, domain in self._space.parameters.items():
            if not self._space.active(name, found):
                continue
            if name in point and name not in changed:
                found[name] = point[name]
                continue
            coordinate = self._random.random()
            if name in point and self._random.random() < 0.5:
                coordinate = to_unit(domain, point[name]) + SMALL_CHANGE * self._random.standard_normal()
            found[name] = from_unit(domain, min(max(coordinate, 0.0), 1.0))
        return self._feasible.project(found, self._random) or found


def _best_of(trials: list[_Trial], epoch: int, count: int) -> list[_Trial]:
    """Return the best of the trials that measured `epoch`, at most `count`."""
    if not trials:
        return []
    chosen = best(np.array([trial.measured[epoch] for trial in trials]), min(count, len(trials)))
    return [trials[i] for i in chosen]
