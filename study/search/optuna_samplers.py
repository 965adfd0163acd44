"""Optuna's samplers, on a study of their own in memory: they never see the database."""

import warnings
from collections.abc import Container
from dataclasses import dataclass
from typing import Any

import moocore
import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIIISampler, NSGAIISampler, RandomSampler, TPESampler
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from search_spaces import Choice, Domain, Float, Int, Point
from study.search.encoding import Key, identity
from study.search.feasible import FeasibleSpace
from study.search.sampler import Proposal, Sampler

MAX_REJECTED_OF_MODEL = 10
"""Rejected proposals in a row after which proposals are random: from a rejection `gp` learns nothing."""
KEPT_BEST = 100
KEPT_LATEST = 200


@dataclass(frozen=True)
class _Asked:
    """The last proposal of the sampler."""

    trial: Trial
    point: Point
    is_projected: bool
    """Whether `point` is not what the sampler asked for, which broke a constraint."""


class OptunaSampler(Sampler):
    """One of Optuna's samplers. They can use the last rung only; a trial that pauses is a pruned one to them."""

    def __init__(self, space: FeasibleSpace, name: str, objectives: int, seed: int, epochs: int) -> None:
        """Make the sampler called `name` of --sampler."""
        self._space = space
        self._epochs = epochs
        self._study = optuna.create_study(
            storage=WindowedStorage() if name in ("tpe", "gp") else InMemoryStorage(),
            directions=["maximize"] * objectives,
            sampler=_make(name, seed),
        )
        self._random_study = optuna.create_study(
            directions=self._study.directions, sampler=RandomSampler(seed=2**31 + seed)
        )
        self._projections = np.random.default_rng(seed)
        self._asked: _Asked | None = None
        self._rejections = 0
        self._running: dict[Key, int] = {}
        """Numbers of Optuna's trials."""
        self._reached: dict[Key, list[float]] = {}

    def propose(self) -> Proposal:
        """Return what the sampler asks for, or next to it inside the constraints; after rejections a random point."""
        is_random = self._rejections >= MAX_REJECTED_OF_MODEL
        trial = (self._random_study if is_random else self._study).ask()
        point = self._configure(trial)
        feasible = self._space.project(point, self._projections) or point
        self._asked = None if is_random else _Asked(trial, feasible, is_projected=feasible != point)
        return Proposal(feasible)

    def reject(self, proposal: Proposal) -> None:
        """Tell Optuna that the trial failed."""
        self._rejections += 1
        if self._asked:
            self._study.tell(self._asked.trial, state=TrialState.FAIL)
        self._asked = None

    def start(self, point: Point) -> None:
        """Begin a trial of Optuna's, also for a point that was not asked for, or that is resumed."""
        key, asked = identity(point), self._asked
        self._asked, self._rejections = None, 0
        if asked and identity(asked.point) == key:
            self._running[key] = self._begin_projected(asked) if asked.is_projected else asked.trial.number
            return
        domains = self._space.space.parameters
        self._study.enqueue_trial({name: _internal(domains[name], value) for name, value in point.items()})
        trial = self._study.ask()
        self._configure(trial)
        self._running[key] = trial.number

    def measure(
        self, point: Point, epoch: int, gains: NDArray[np.float64], errors: NDArray[np.float64]
    ) -> None:
        """Keep what `point` measured at the last rung."""
        if epoch == self._epochs and np.isfinite(gains).all():
            self._reached[identity(point)] = gains.tolist()

    def pause(self, point: Point) -> None:
        """End the trial of Optuna's."""
        self.end(point)

    def end(self, point: Point) -> None:
        """Tell Optuna that the trial is complete if it measured the last rung, else pruned."""
        key = identity(point)
        values = self._reached.pop(key, None)
        self._study.tell(self._running.pop(key), values, TrialState.COMPLETE if values else TrialState.PRUNED)

    def _begin_projected(self, asked: _Asked) -> int:
        """Begin the trial that runs in place of the one that was asked for, and return its number.

        It keeps the attributes by which `nsga2` knows the generation that it belongs to.
        """
        frozen = self._study.tell(asked.trial, state=TrialState.FAIL)
        domains = self._space.space.parameters
        runs = create_trial(
            state=TrialState.RUNNING,
            params={name: _internal(domains[name], value) for name, value in asked.point.items()},
            distributions=frozen.distributions,
            system_attrs=frozen.system_attrs,
        )
        self._study.add_trial(runs)
        return self._study.get_trials(deepcopy=False)[-1].number

    def _configure(self, trial: Trial) -> dict[str, Any]:
        """Let the sampler choose every active parameter of `trial`, in the order of the space."""
        point: dict[str, Any] = {}
        for name, domain in self._space.space.parameters.items():
            if self._space.space.active(name, point):
                point[name] = _suggest(trial, name, domain)
        return point


class WindowedStorage(InMemoryStorage):
    """An in-memory storage of one study that shows the best and the latest of its ended trials, and all others.

    The work of a sampler then does not grow with the study: Optuna's TPE takes 130 ms at 3,000 trials of 25
    parameters and 20 ms at 300. It relies on samplers to read their trials by this method.
    """

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        """Return the trials of the window, in order, that have one of the `states`."""
        trials = super().get_all_trials(study_id, deepcopy, states)
        ended = [trial for trial in trials if trial.state in (TrialState.COMPLETE, TrialState.PRUNED)]
        if len(ended) <= KEPT_BEST + KEPT_LATEST:
            return trials
        hidden = {trial.number for trial in ended[:-KEPT_LATEST]} - _best(ended[:-KEPT_LATEST])
        return [trial for trial in trials if trial.number not in hidden]


def _best(trials: list[FrozenTrial]) -> set[int]:
    """Return the numbers of the `KEPT_BEST` complete trials of lowest non-dominated rank."""
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    if not complete:
        return set()
    ranks = moocore.pareto_rank(np.array([trial.values for trial in complete]), maximise=True)
    return {complete[i].number for i in np.argsort(ranks, kind="stable")[:KEPT_BEST]}


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
    """Return what Optuna's trial holds for a value: of an ordered choice, its index."""
    return domain.values.index(value) if isinstance(domain, Choice) and domain.is_ordered else value
