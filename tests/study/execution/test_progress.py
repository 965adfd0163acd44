"""The figures of a running study, compared with a count of all trials at its end."""

import time
from collections.abc import Callable
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from study.execution.progress import PAUSED, Progress
from study.store.record import new_result
from study.store.request import Request
from study_common.layout import Result

RequestOf = Callable[..., Request]
RUNNING, WAITING = TrialState.RUNNING, TrialState.WAITING
ENDS = {TrialState.COMPLETE: "complete", TrialState.PRUNED: "stopped", TrialState.FAIL: "failed"}


def result(accuracy: float = 0.5, flops: float = 1e6, **more: Any) -> Result:
    metrics = {"accuracy": accuracy, "faithfulness": 0.5, "flops": flops}
    return Result(**{**new_result(0), "metrics": metrics, **more})  # type: ignore[typeddict-item]


def ended(progress: Progress, state: TrialState, known: Result) -> None:
    progress.add_new()
    progress.change_state(RUNNING, state, known)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(seed=st.integers(0, 2**32))
def test_the_counts_are_those_of_the_trials(seed: int, request_of: RequestOf) -> None:
    random, progress = Random(seed), Progress(request_of(trials=20))
    states: list[TrialState] = []
    for _ in range(60):
        moves = [n for n, state in enumerate(states) if state in (RUNNING, WAITING)]
        if len(states) < 20 and (not moves or random.random() < 0.4):
            progress.add_new()
            states.append(RUNNING)
            continue
        if not moves:
            break
        number = random.choice(moves)
        after = random.choice([WAITING, *ENDS]) if states[number] == RUNNING else RUNNING
        progress.change_state(states[number], after, result(random.random()))
        states[number] = after
    names = [ENDS.get(state, "running" if state == RUNNING else PAUSED) for state in states]
    assert {name: progress.states[name] for name in set(names)} == {n: names.count(n) for n in set(names)}
    assert progress.states.total() == len(states)
    assert progress.tried == len(states) - names.count("running")
    assert progress.unfinished == 20 - sum(state in ENDS for state in states)
    finished = [state for state in states if state in ENDS]
    assert progress.most_failed == (finished.count(TrialState.FAIL) > len(finished) / 2)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(scores=st.lists(st.tuples(st.floats(0, 1), st.floats(0, 5e7)), min_size=1, max_size=8))
def test_the_front_is_what_no_other_complete_trial_dominates(
    scores: list[tuple[float, float]], request_of: RequestOf
) -> None:
    progress, volumes = Progress(request_of()), [0.0]
    for accuracy, flops in scores:
        ended(progress, TrialState.COMPLETE, result(accuracy, flops))
        volumes.append(progress.hypervolume)

    def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
        return one != other and one[0] >= other[0] and one[1] <= other[1]

    rounded = [_gains(progress, *score) for score in scores]
    undominated = [b for b in rounded if not any(dominates((a[0], -a[1]), (b[0], -b[1])) for a in rounded)]
    assert progress.front == len(undominated)
    assert volumes == sorted(volumes)
    assert 0 <= volumes[-1] <= 1
    best = (max(accuracy for accuracy, _ in scores), min(flops for _, flops in scores))
    assert (progress.best["accuracy"], progress.best["flops"]) == best


def _gains(progress: Progress, accuracy: float, flops: float) -> tuple[float, float]:
    """Return the two gains that differ; what differs less than a double resolves is equal."""
    chance, float_flops = progress._targets["accuracy"].reference, progress._targets["flops"].reference
    return (accuracy - chance) / (1.0 - chance), (flops - float_flops) / (0.0 - float_flops)


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.PRUNED, WAITING])
def test_a_trial_that_is_not_complete_is_not_on_the_front(state: TrialState, request_of: RequestOf) -> None:
    progress = Progress(request_of())
    ended(progress, state, result(1.0, error="RuntimeError: no"))
    ended(progress, TrialState.COMPLETE, result(float("nan")))
    assert (progress.front, progress.hypervolume, progress.best) == (0, 0.0, {})
    assert progress.failures.lines() == (["1 x RuntimeError: no"] if state == TrialState.FAIL else [])


def test_equal_trials_are_both_on_the_front(request_of: RequestOf) -> None:
    progress = Progress(request_of())
    for _ in range(2):
        ended(progress, TrialState.COMPLETE, result())
    assert progress.front == 2


def test_a_space_without_further_configurations_has_no_trials_to_come(request_of: RequestOf) -> None:
    progress = Progress(request_of(trials=15))
    ended(progress, TrialState.COMPLETE, result())
    assert progress.unfinished == 14
    progress.expect_no_more(replicates=2)
    assert (progress.trials, progress.unfinished) == (3, 2)
    progress.expect_no_more(replicates=0)
    assert (progress.trials, progress.unfinished) == (1, 0)


def test_a_trial_of_an_earlier_driver_is_known_but_not_trained(request_of: RequestOf) -> None:
    progress = Progress(request_of(trials=2, scheduler="fifo"))
    progress.add_recorded(TrialState.COMPLETE, result(epochs=9))
    progress.add_recorded(RUNNING, result(epochs=1))
    progress.add_epoch(is_new=False)
    assert (progress.epochs, progress.states["complete"], progress.states["running"]) == (0, 1, 1)


def test_the_time_that_is_left_is_that_of_the_epochs_to_come(
    request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = Progress(request_of(trials=2, scheduler="fifo"))
    progress.add_new()
    assert progress.eta is None, "nothing was trained"
    for _ in range(3):
        progress.add_epoch(is_new=True)
    now = 106.0
    assert (progress.seconds, progress.epochs_per_second) == (6.0, 0.5)
    assert progress.eta == (2 * 9 - 3) * 2.0
    progress.change_state(RUNNING, TrialState.FAIL, result())
    ended(progress, TrialState.FAIL, result())
    assert progress.eta is None, "all have ended"


def test_a_study_that_trains_more_than_expected_still_has_its_first_rungs_to_come(
    request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    request = request_of(trials=4)
    progress = Progress(request)
    progress.add_new()
    for _ in range(1000):
        progress.add_epoch(is_new=True)
    now = 1000.0
    assert progress.eta == 3 * request.rungs[0] + 1
