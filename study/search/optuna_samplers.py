"""Optuna's samplers, on a mirror of the study in memory: they never see the database."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState

from search_spaces import Choice, Domain, Float, Int, Space
from study.search.encoding import Key, Point, identity
from study.search.window import Window

STUBBORN = 10
"""Refused proposals in a row after which a sampler is not asked any more."""


class Mirror:
    """A `study.search.proposals.Sampler`. Optuna's can use the last rung only, and trials that pause as pruned ones."""

    def __init__(self, space: Space, name: str, objectives: int, seed: int, epochs: int) -> None:
        """`name` is one of --sampler."""
        self._space = space
        self._epochs = epochs
        self._study = optuna.create_study(
            storage=Window() if name in ("tpe", "gp") else InMemoryStorage(),
            directions=["maximize"] * objectives,
            sampler=_make(name, seed),
        )
        self._random = RandomSampler(seed=2**31 + seed)
        self._proposed: tuple[Key, Trial] | None = None
        self._running: dict[Key, Trial] = {}
        self._reached: dict[Key, list[float]] = {}

    def propose(self) -> Iterator[tuple[dict[str, Any], bool]]:
        """Yield configurations; when the next is asked for, the one before was refused.

        After `STUBBORN` of them they are random: from a refusal `gp` learns nothing, and would propose the same again.
        """
        for _ in range(STUBBORN):
            trial = self._study.ask()
            point = self._configure(trial)
            self._proposed = (identity(point), trial)
            yield point, False
            self._study.tell(trial, state=TrialState.FAIL)
        self._proposed = None
        anew = optuna.create_study(directions=self._study.directions, sampler=self._random)
        while True:
            yield self._configure(anew.ask()), False

    def start(self, point: Point) -> None:
        """Take in that `point` runs. One that was not proposed just now, or goes on, is another trial of the mirror."""
        key = identity(point)
        proposed, self._proposed = self._proposed, None
        if proposed and proposed[0] == key:
            self._running[key] = proposed[1]
            return
        domains = self._space.parameters
        self._study.enqueue_trial({name: _internal(domains[name], value) for name, value in point.items()})
        self._running[key] = self._study.ask()
        self._configure(self._running[key])

    def measure(self, point: Point, epoch: int, gains: NDArray[np.float64]) -> None:
        """Take in what `point` measured at a rung."""
        if epoch == self._epochs and np.isfinite(gains).all():
            self._reached[identity(point)] = gains.tolist()

    def pause(self, point: Point) -> None:
        """Take in that `point` pauses, which is an end here."""
        self.end(point)

    def end(self, point: Point) -> None:
        """Take in that `point` has ended: complete if it measured the last rung, else pruned."""
        key = identity(point)
        values = self._reached.pop(key, None)
        self._study.tell(self._running.pop(key), values, TrialState.COMPLETE if values else TrialState.PRUNED)

    def _configure(self, trial: Trial) -> dict[str, Any]:
        """Let the sampler choose every active parameter of `trial`, in the order of the space."""
        point: dict[str, Any] = {}
        for name, domain in self._space.parameters.items():
            if self._space.active(name, point):
                point[name] = _suggest(trial, name, domain)
        return point


def _make(name: str, seed: int) -> BaseSampler:
    match name:
        case "tpe":
            return TPESampler(seed=seed, multivariate=True)
        case "nsga2":
            return NSGAIISampler(seed=seed)
        case "nsga3":
            with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                return NSGAIIISampler(seed=seed)
        case "gp":
            return GPSampler(seed=seed, warn_independent_sampling=False)
        case _:
            assert name == "random"
            return RandomSampler(seed=seed)


def _suggest(trial: Trial, name: str, domain: Domain) -> Any:
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
    if isinstance(domain, Int):
        return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
    if domain.is_ordered:
        return domain.values[trial.suggest_int(name, 0, len(domain.values) - 1)]
    return trial.suggest_categorical(name, domain.values)


def _internal(domain: Domain, value: Any) -> Any:
    """Return what the mirror holds for a value: of an ordered choice, its place."""
    return domain.values.index(value) if isinstance(domain, Choice) and domain.is_ordered else value
