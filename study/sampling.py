"""Proposals: which configuration to try next.

The samplers are Optuna's. They look at a mirror of the study in memory, never at the database, and of a long study only
at a window, so that a proposal stays cheap at thousands of trials. Costs are known before training: what breaks
a constraint, and what was proposed before, is refused and never leaves this module.
"""

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.storages import InMemoryStorage
from optuna.trial import Trial, TrialState

from search_spaces import Choice, Domain, Float, Int, Space
from study.window import Window

Point = Mapping[str, Any]
PATIENCE = 200
"""Proposals refused in a row before what is left of the space is listed, or given up."""
LISTED = 100_000
"""Configurations of a finite space that are looked through for one that is left."""


class Proposals:
    """The source of configurations of one study; `refused` counts what it kept back."""

    def __init__(
        self,
        space: Space,
        sampler: str,
        objectives: int,
        seed: int,
        queue: Iterable[Point] = (),
        violated: Callable[[Point], Mapping[str, float]] = lambda point: {},
    ) -> None:
        """`queue` comes first; `violated` tells by how much a configuration breaks each constraint it breaks."""
        self.refused = {"infeasible": 0, "repeat": 0}
        self._space = space
        self._violated = violated
        self._queue = list(queue)
        self._seen: set[frozenset[tuple[str, Any]]] = set()
        self._running: dict[frozenset[tuple[str, Any]], Trial] = {}
        self._listed = space.grid() if space.points or sampler == "grid" else None
        self._mirror = optuna.create_study(
            storage=Window() if sampler in ("tpe", "gp") else InMemoryStorage(),
            directions=["maximize"] * objectives,
            sampler=make_sampler(sampler, seed),
        )

    def next(self) -> dict[str, Any] | None:
        """Return a feasible configuration that was not proposed before, or None: the space is exhausted.

        Raises ValueError if the constraints leave nothing, or next to nothing, of an infinite space.
        """
        while self._queue:
            point = self._queue.pop(0)
            if self._accept(point, self._start(point)):
                return dict(point)
        for _ in range(PATIENCE if self._listed is None else 0):
            trial = self._mirror.ask()
            if self._accept(point := self._configure(trial), trial):
                return point
        if self._listed is None and self._space.size() is None:
            raise ValueError(
                f"the last {PATIENCE} proposals were infeasible or repeats; loosen --max-bops or --max-size"
            )
        for _, point in zip(range(LISTED), self._listed or self._space.grid(), strict=False):
            if frozenset(point.items()) not in self._seen and self._accept(point, self._start(point)):
                return point
        return None

    def learn(self, point: Point, state: TrialState, gains: Sequence[float] | None = None) -> None:
        """Tell how a configuration ended, or (state RUNNING) that an earlier driver proposed it.

        `gains` are its objectives, all to be maximised, if the state is COMPLETE.
        """
        key = frozenset(point.items())
        if key not in self._seen:
            self._seen.add(key)
            if trial := self._start(point):
                self._running[key] = trial
        if state != TrialState.RUNNING and key in self._running:
            self._mirror.tell(self._running.pop(key), gains, state)

    def _accept(self, point: Point, trial: Trial | None) -> bool:
        """Take a proposal, or refuse it and tell the mirror what is wrong with it."""
        key = frozenset(point.items())
        if key in self._seen:
            self.refused["repeat"] += 1
            if trial:
                self._mirror.tell(trial, state=TrialState.FAIL)
            return False
        if excess := self._violated(point):
            self.refused["infeasible"] += 1
            if trial:
                for name, value in excess.items():
                    trial.set_constraint(name, value)
                self._mirror.tell(trial, state=TrialState.PRUNED)
            return False
        self._seen.add(key)
        if trial:
            self._running[key] = trial
        return True

    def _configure(self, trial: Trial) -> dict[str, Any]:
        """Let the sampler choose every active parameter of `trial`, in the order of the space."""
        point: dict[str, Any] = {}
        for name, domain in self._space.parameters.items():
            if self._space.active(name, point):
                point[name] = _suggest(trial, name, domain)
        return point

    def _start(self, point: Point) -> Trial | None:
        """Return a running trial of the mirror that has the values of `point`; None if the space lacks them."""
        if self._space.points or point not in self._space:
            return None
        domains = self._space.parameters
        self._mirror.enqueue_trial({name: _internal(domains[name], value) for name, value in point.items()})
        trial = self._mirror.ask()
        self._configure(trial)
        return trial


def make_sampler(name: str, seed: int) -> BaseSampler:
    """Return the Optuna sampler behind a name of --sampler."""
    match name:
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed, multivariate=True)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed)
        case "nsga3":
            with warnings.catch_warnings(action="ignore", category=ExperimentalWarning):
                return optuna.samplers.NSGAIIISampler(seed=seed)
        case "gp":
            return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)
        case _:  # "grid" asks nothing of it
            return optuna.samplers.RandomSampler(seed=seed)


def _suggest(trial: Trial, name: str, domain: Domain) -> Any:
    if isinstance(domain, Float):
        return trial.suggest_float(name, domain.low, domain.high, log=domain.log)
    if isinstance(domain, Int):
        return trial.suggest_int(name, domain.low, domain.high, step=domain.step, log=domain.log)
    if _is_ordered(domain):
        return domain.values[trial.suggest_int(name, 0, len(domain.values) - 1)]
    return trial.suggest_categorical(name, domain.values)


def _internal(domain: Domain, value: Any) -> Any:
    """Return what the mirror holds for a value: of an ordered choice, its place."""
    return domain.values.index(value) if isinstance(domain, Choice) and _is_ordered(domain) else value


def _is_ordered(domain: Choice) -> bool:
    """Tell whether the values are ascending numbers, such as bit-widths: neighbours then behave alike."""
    numbers = [value for value in domain.values if not isinstance(value, str | bool)]
    return len(numbers) == len(domain.values) and numbers == sorted(numbers)
