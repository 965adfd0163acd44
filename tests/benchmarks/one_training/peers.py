"""The peers: searches that train each configuration from random weights, by their own defaults.

They are driven by hand on the recorded curves, one training at a time. Widths are ordered, so a search that knows
integers chooses their place. Those of Syne Tune and NePS run where these packages are installed.
"""

import random
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
import torch
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, RandomSampler, TPESampler

from study import SmsEgoSampler
from tests.benchmarks.one_training import problem
from tests.benchmarks.one_training.judgement import Array, Point

BUDGET = problem.EPOCHS * (len(problem.POINTS) // 2)
"""Epochs after which a search ends: half of the grid's."""
PROPOSALS = 4 * len(problem.POINTS)
"""Proposals after which it ends at the latest: to propose again what was trained costs nothing."""


@dataclass
class Trainings:
    """The trainings of one search, read from the curves of one seed; an epoch that was trained is not paid again."""

    curves: Mapping[int, Array]
    """By epoch, the rungs and the last: gains, (n, 3)."""
    points: list[Point]
    epochs: dict[Point, int] = field(default_factory=dict)
    """How far each configuration was trained."""
    ended: list[tuple[int, int]] = field(default_factory=list)
    """What was trained to the end, in this order: its row, and the epochs that the search had spent by then."""

    @property
    def spent(self) -> int:
        """The epochs of all trainings."""
        return sum(self.epochs.values())

    def proposals(self, most: int = PROPOSALS) -> Iterator[int]:
        """Number the proposals of a search until it has to end."""
        for number in range(most):
            if self.spent >= BUDGET:
                break
            yield number

    def to(self, epoch: int, point: Point) -> Array:
        """Train a configuration up to an epoch, if it was not yet; returns its gains there, (3,)."""
        row, before = self.points.index(point), self.epochs.get(point, 0)
        self.epochs[point] = max(before, epoch)
        if before < problem.EPOCHS == epoch:
            self.ended.append((row, self.spent))
        return self.curves[epoch][row]


def by_optuna(make: Callable[[int], BaseSampler], seed: int, trainings: Trainings) -> None:
    """Search with a sampler of Optuna."""
    study = optuna.create_study(directions=["maximize"] * len(problem.goals()), sampler=make(seed))
    for _ in trainings.proposals():
        trial = study.ask()
        places = [trial.suggest_int(layer, 0, len(problem.WIDTHS) - 1) for layer in problem.LAYERS]
        study.tell(trial, trainings.to(problem.EPOCHS, _point(places)).tolist())


def default(seed: int) -> BaseSampler:
    """Return the sampler that Optuna takes for several objectives if it is given none, with a seed."""
    chosen = optuna.create_study(directions=["maximize"] * len(problem.goals())).sampler
    made: BaseSampler = type(chosen)(seed=seed)  # type: ignore[call-arg]
    return made


def mo_rea(seed: int, trainings: Trainings) -> None:
    """Search with Syne Tune's multi-objective regularised evolution."""
    from syne_tune.optimizer.schedulers.multiobjective.multi_objective_regularized_evolution import (
        MultiObjectiveRegularizedEvolution,
    )

    _seed_all(seed)
    searcher = MultiObjectiveRegularizedEvolution(_syne_tune_space(), random_seed=seed)
    for number in trainings.proposals():
        config = searcher.suggest()
        gains = trainings.to(problem.EPOCHS, tuple(config[layer] for layer in problem.LAYERS))
        searcher.on_trial_complete(number, config, (-gains).tolist())


def moasha(seed: int, trainings: Trainings, *, is_ranked: bool = False) -> None:
    """Search with Syne Tune's MOASHA: random configurations, of which it stops two thirds after 1 and after 3 epochs.

    Its priority is the order of the trials, best first, where its bracket takes it for the rank of each; `is_ranked`
    gives it the ranks.
    """
    from syne_tune.backend.trial_status import Trial
    from syne_tune.optimizer.scheduler import SchedulerDecision
    from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
    from syne_tune.optimizer.schedulers.multiobjective.multiobjective_priority import NonDominatedPriority

    def ranks(objectives: Array) -> Array:
        return np.argsort(NonDominatedPriority()(objectives))

    _seed_all(seed)
    names = list(problem.goals())
    priority = ranks if is_ranked else None
    scheduler = MOASHA(
        _syne_tune_space(), names, max_t=problem.EPOCHS, multiobjective_priority=priority, random_seed=seed
    )
    for number in trainings.proposals():
        trial = Trial(number, scheduler.suggest().config, datetime.now())
        scheduler.on_trial_add(trial)
        for epoch in trainings.curves:
            gains = trainings.to(epoch, tuple(trial.config[layer] for layer in problem.LAYERS))
            told = {"training_iteration": epoch, **dict(zip(names, -gains, strict=True))}
            if scheduler.on_trial_result(trial, told) == SchedulerDecision.STOP:
                break
        scheduler.on_trial_remove(trial)


def primo(seed: int, trainings: Trainings, *, is_helped: bool = False) -> None:
    """Search with NePS' PriMO: the epochs of four trainings by its MOASHA, then Bayesian optimisation of whole ones.

    By default it knows no prior, and one draw of weights makes one objective of all. `is_helped` tells it what anyone
    would guess (greatest widths for accuracy and faithfulness, smallest for flops, with medium confidence), and draws
    the weights anew for each proposal. It ends after a proposal per configuration at the latest: each takes it half a
    second.
    """
    import neps

    _seed_all(seed)
    layers = {layer: neps.HPOInteger(0, len(problem.WIDTHS) - 1) for layer in problem.LAYERS}
    space = neps.SearchSpace({**layers, "epochs": neps.HPOInteger(1, problem.EPOCHS, is_fidelity=True)})
    best = {name: 0 if name == "flops" else len(problem.WIDTHS) - 1 for name in problem.goals()}
    priors = {
        "prior_centers": {name: dict.fromkeys(layers, place) for name, place in best.items()},
        "prior_confidences": {name: dict.fromkeys(layers, 0.5) for name in best},
    }
    optimizer = neps.algorithms.primo(space, **(priors if is_helped else {"prior_centers": {}}))
    search = neps.AskAndTell(optimizer)
    for _ in trainings.proposals(len(problem.POINTS)):
        if is_helped:
            optimizer.scalarization_weights = None
        trial = search.ask()
        point = _point([trial.config[layer] for layer in problem.LAYERS])
        search.tell(trial, (-trainings.to(trial.config["epochs"], point)).tolist())


def _point(places: list[int]) -> Point:
    return tuple(problem.WIDTHS[place] for place in places)


def _syne_tune_space() -> dict[str, Any]:
    from syne_tune.config_space import ordinal

    return {layer: ordinal(list(problem.WIDTHS), kind="equal") for layer in problem.LAYERS}


def _seed_all(seed: int) -> None:
    """Seed the global generators, from which those of Syne Tune and NePS draw whatever seed they are given."""
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    torch.manual_seed(seed)


Peer = Callable[[int, Trainings], None]
OURS = "ours, trainings from random weights"
PEERS: dict[str, Peer] = {
    "optuna default": partial(by_optuna, default),
    "optuna tpe": partial(by_optuna, lambda seed: TPESampler(seed=seed)),
    "optuna nsga2": partial(by_optuna, lambda seed: NSGAIISampler(seed=seed)),
    "optuna gp": partial(by_optuna, lambda seed: GPSampler(seed=seed)),
    "random": partial(by_optuna, lambda seed: RandomSampler(seed=seed)),
    OURS: partial(by_optuna, lambda seed: SmsEgoSampler(seed, bounds=[(1.0, 0.0)] * 3)),
}
if find_spec("syne_tune"):
    PEERS |= {"syne tune mo-rea": mo_rea, "syne tune moasha": moasha}
    PEERS["syne tune moasha, ranked"] = partial(moasha, is_ranked=True)
if find_spec("neps"):
    PEERS |= {"neps primo": primo, "neps primo, helped": partial(primo, is_helped=True)}
SLOW = ("optuna gp", "neps primo", "neps primo, helped")
"""They take up to a second for each proposal."""
EARLY = tuple(name for name in PEERS if "moasha" in name or "primo" in name)
"""They stop trainings early."""
