"""Optuna's samplers: what they rely on in Optuna, and what they learn of a point that was projected."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import optuna
import pytest
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler
from optuna.trial import TrialState

from study.search.feasible import FeasibleSpace
from study.search.optuna_samplers import KEPT_BEST, KEPT_LATEST, OptunaSampler, WindowedStorage
from study.store.request import Request

RequestOf = Callable[..., Request]


@pytest.mark.parametrize("make", [TPESampler, GPSampler])
def test_samplers_read_their_trials_through_the_window(make: type[BaseSampler]) -> None:
    """If a release of Optuna reads them in another way, the window hides nothing any more."""
    storage, asked = WindowedStorage(), []
    storage.get_all_trials = lambda *given, **more: (  # type: ignore[method-assign]
        asked.append(given) or WindowedStorage.get_all_trials(storage, *given, **more)
    )
    study = optuna.create_study(storage=storage, sampler=make(seed=0, n_startup_trials=2))
    for _ in range(4):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0.0, 1.0))
    asked.clear()
    study.ask().suggest_float("x", 0.0, 1.0)
    assert asked


def test_the_window_shows_the_best_the_latest_and_what_runs() -> None:
    storage = WindowedStorage()
    study = optuna.create_study(storage=storage, directions=["maximize"] * 2)
    count = KEPT_BEST + KEPT_LATEST + 50
    running = study.ask()
    for number in range(count):
        trial = study.ask()
        study.tell(trial, [float(-number)] * 2)
    shown = {trial.number for trial in study.get_trials(deepcopy=False)}
    ended = range(1, count + 1)
    assert shown == {running.number, *ended[:KEPT_BEST], *ended[-KEPT_LATEST:]}, "the first ones are the best"


@pytest.mark.parametrize("name", ["tpe", "nsga2", "gp", "random"])
def test_a_sampler_learns_of_what_was_tried_and_not_of_what_it_asked_for(
    name: str, request_of: RequestOf
) -> None:
    """It asked for wide layers, which are infeasible, and hears of the narrow ones that ran in their place."""
    request = replace(request_of(), constraints={"bops": 60e6})
    sampler = OptunaSampler(FeasibleSpace.of(request), name, objectives=2, seed=0, epochs=9)
    points = []
    for _ in range(8):
        proposal = sampler.propose()
        assert request.is_feasible(proposal.point)
        sampler.start(proposal.point)
        sampler.measure(proposal.point, 9, np.array([0.5, 0.5]), np.zeros(2))
        sampler.end(proposal.point)
        points.append(proposal.point)
    trials = sampler._study.get_trials(deepcopy=False)
    complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
    assert [trial.params["lambda1"] for trial in complete] == [point["lambda1"] for point in points]
    widths = [2, 3, 4, 6, 8]
    for trial, point in zip(complete, points, strict=True):
        assert {widths[v] for n, v in trial.params.items() if n.startswith("bits.")} == {
            v for n, v in point.items() if n.startswith("bits.")
        }
    assert {trial.state for trial in trials} == {TrialState.COMPLETE, TrialState.FAIL}


def test_nsga2_has_generations_of_projected_points_too(request_of: RequestOf) -> None:
    """A release of Optuna that keeps them elsewhere than in the attributes of a trial would lose them."""
    request = replace(request_of(), constraints={"bops": 60e6})
    sampler = OptunaSampler(FeasibleSpace.of(request), "nsga2", objectives=2, seed=0, epochs=9)
    sampler._study.sampler = NSGAIISampler(population_size=4, seed=0)
    for _ in range(14):
        point = sampler.propose().point
        sampler.start(point)
        sampler.measure(point, 9, np.array([point["mask_ratio"], point["eta"]]), np.zeros(2))
        sampler.end(point)
    trials = sampler._study.get_trials(deepcopy=False)
    generations = [
        value
        for trial in trials
        if trial.state == TrialState.COMPLETE
        for name, value in trial.system_attrs.items()
        if name.endswith("generation")
    ]
    assert len(generations) == 14
    assert max(generations) >= 2


def test_after_rejections_a_proposal_is_random(request_of: RequestOf) -> None:
    sampler = OptunaSampler(FeasibleSpace.of(request_of()), "gp", objectives=2, seed=0, epochs=9)
    for _ in range(30):
        sampler.reject(sampler.propose())
    states = [trial.state for trial in sampler._study.get_trials(deepcopy=False)]
    assert states == [TrialState.FAIL] * 10
