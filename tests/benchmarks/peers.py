"""Who the search-quality benchmark sets beside ours, each a `study.simulation.replay.Driver` over the same table."""

from collections.abc import Callable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution
from optuna.samplers import BaseSampler
from syne_tune.backend.trial_status import Trial
from syne_tune.config_space import ordinal
from syne_tune.optimizer.scheduler import SchedulerDecision, TrialScheduler
from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
from syne_tune.optimizer.schedulers.multiobjective.multi_objective_regularized_evolution import (
    MultiObjectiveRegularizedEvolution,
)
from syne_tune.optimizer.schedulers.single_fidelity_scheduler import SingleFidelityScheduler

from study.execution.worker import Report
from study.search.ranking import hypervolume_improvements
from study.simulation.table import Table
from study_common import objectives


class OptunaFifo:
    """An Optuna sampler as it comes, every trial trained to its end."""

    def __init__(self, table: Table, sampler: BaseSampler, trials: int) -> None:
        self._table = table
        self._rows = {frozenset(point.items()): row for row, point in enumerate(table.points)}
        self._study = optuna.create_study(directions=["maximize"] * table.gains.shape[1], sampler=sampler)
        self._space = {
            name: CategoricalDistribution(domain.finite())
            for name, domain in table.request.space.parameters.items()
        }
        self._left = trials

    def start(self) -> tuple[optuna.Trial, int, int] | None:
        if not self._left:
            return None
        self._left -= 1
        trial = self._study.ask(self._space)
        return trial, self._rows[frozenset(trial.params.items())], 0

    def report(self, trial: optuna.Trial, report: Report) -> bool:
        if report.last:
            self._study.tell(trial, list(objectives.gains(self._table.request.objectives, report.metrics)))
        return True


class Clairvoyant:
    """Who knows the table: each trial is the one that adds most to those before it, and trained to its end."""

    def __init__(self, table: Table) -> None:
        self._gains = table.gains
        self._begun: list[int] = []

    def start(self) -> tuple[int, int, int] | None:
        if len(self._begun) == len(self._gains):
            return None
        added = hypervolume_improvements(self._gains, self._gains[self._begun])
        added[self._begun] = -1.0
        self._begun.append(int(np.argmax(added)))
        return self._begun[-1], self._begun[-1], 0

    def report(self, trial: int, report: Report) -> bool:
        return True


class SyneTune:
    """A Syne Tune scheduler, told of every epoch that measured all objectives."""

    def __init__(
        self, table: Table, make: Callable[[dict[str, Any], list[str]], TrialScheduler], trials: int
    ) -> None:
        self._table = table
        self._targets = table.request.objectives
        self._rows = {frozenset(point.items()): row for row, point in enumerate(table.points)}
        space = {
            name: ordinal(list(domain.finite()), kind="equal")
            for name, domain in table.request.space.parameters.items()
        }
        self._scheduler = make(space, [f"loss{i}" for i in range(len(self._targets))])
        self._trials: list[Trial] = []
        self._left = trials

    def start(self) -> tuple[int, int, int] | None:
        if not self._left:
            return None
        self._left -= 1
        config = self._scheduler.suggest().config
        trial = Trial(trial_id=len(self._trials), config=config, creation_time=None)
        self._trials.append(trial)
        self._scheduler.on_trial_add(trial)
        return trial.trial_id, self._rows[frozenset(config.items())], 0

    def report(self, number: int, report: Report) -> bool:
        gains = objectives.gains(self._targets, report.metrics)
        if not np.isfinite(gains).all():
            return True
        result = {f"loss{i}": -gain for i, gain in enumerate(gains)} | {"training_iteration": report.epoch}
        decision = self._scheduler.on_trial_result(self._trials[number], result)
        if report.last:
            self._scheduler.on_trial_complete(self._trials[number], result)
        return bool(decision == SchedulerDecision.CONTINUE)


def moasha(table: Table, seed: int, trials: int) -> SyneTune:
    """Multi-objective ASHA (Salinas et al. 2021) with random sampling, its own defaults."""
    np.random.seed(seed)  # noqa: NPY002 - it draws configurations from the global generator
    request = table.request
    return SyneTune(
        table,
        lambda space, losses: MOASHA(
            space, losses, max_t=request.epochs, reduction_factor=3, random_seed=seed
        ),
        trials,
    )


def mo_rea(table: Table, seed: int, trials: int) -> SyneTune:
    """Multi-objective regularised evolution, its own defaults."""
    np.random.seed(seed)  # noqa: NPY002 - as for moasha
    return SyneTune(
        table,
        lambda space, losses: SingleFidelityScheduler(
            space,
            losses,
            searcher=MultiObjectiveRegularizedEvolution(space, random_seed=seed),
            random_seed=seed,
        ),
        trials,
    )
