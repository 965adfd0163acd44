"""Schedulers: whoever is among the best continues, and nobody else, whatever the order, the ties and the NaNs."""

import math
from itertools import permutations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ray.tune.schedulers import TrialScheduler

from study.execution.worker import Report
from study.search.ranking import best
from study.search.scheduler import Fifo, ParetoAsha, Scheduler
from study_common.objectives import Objective
from tests.study.search.test_ranking import POINTS, VALUE

TARGETS = {
    "accuracy": Objective(direction="max", ideal=1.0, reference=0.0),
    "flops": Objective(direction="min", ideal=0.0, reference=1.0),
    "faithfulness": Objective(direction="max", ideal=1.0, reference=0.0),
}


def metrics(point: tuple[float, ...]) -> dict[str, float]:
    """What is reported of a point; faithfulness that is NaN was not measured."""
    found = dict(zip(TARGETS, (point[0], 1 - point[1], point[2]), strict=True))
    return {name: v for name, v in found.items() if name != "faithfulness" or not math.isnan(v)}


def tell(scheduler: ParetoAsha, number: int, epoch: int, point: tuple[float, ...]) -> bool:
    """Report as Tune does; tell whether the trial goes on."""
    report = Report(epoch=epoch, metrics=metrics(point))
    trial: Any = SimpleNamespace(config={"job": SimpleNamespace(number=number)})
    decision = scheduler.on_trial_result(None, trial, {"report": report})
    assert decision in (TrialScheduler.CONTINUE, TrialScheduler.STOP)
    return decision == TrialScheduler.CONTINUE


def allowed(points: list[tuple[float, ...]], factor: int, all_began: bool) -> set[int]:
    """Those of a rung that may go on, by the definition."""
    k = len(points) // factor
    if all_began:
        k = max(k, min(3, len(points)))
    return set(best(np.array(points), k).tolist()) if k else set()


@settings(max_examples=50)
@given(points=POINTS, factor=st.integers(2, 4), data=st.data())
def test_whoever_is_among_the_best_goes_on_and_nobody_else(
    points: list[tuple[float, ...]], factor: int, data: st.DataObject
) -> None:
    scheduler, went_on = ParetoAsha(TARGETS, [1, 9], factor), set[int]()
    for n, point in enumerate(points):
        if tell(scheduler, n, 1, point):
            went_on.add(n)
        assert tell(scheduler, n, 1, point), "a rung is decided once"
        while data.draw(st.booleans()) and (number := scheduler.next_to_resume()) is not None:
            assert number not in went_on
            went_on.add(number)
        now = allowed(points[: n + 1], factor, all_began=False)
        assert went_on - now <= set().union(*(allowed(points[:i], factor, False) for i in range(n + 1)))
    scheduler.all_began = True
    while (number := scheduler.next_to_resume()) is not None:
        went_on.add(number)
    assert allowed(points, factor, all_began=True) <= went_on


@given(point=st.tuples(VALUE, VALUE, VALUE))
def test_only_rungs_before_the_last_decide(point: tuple[float, ...]) -> None:
    scheduler = ParetoAsha(TARGETS, [1, 3, 9], 3)
    assert not tell(scheduler, 0, 1, (1.0, 1.0, 1.0)), "the first waits for others to compare it with"
    assert tell(scheduler, 1, 2, point)
    assert tell(scheduler, 1, 9, point)


def test_the_best_goes_on_and_the_worst_never_whatever_the_order() -> None:
    points = [(1.0, 1.0, 1.0), (0.9, 0.9, 0.9), (0.8, 0.8, 0.8), (0.2, 0.2, 0.2)]
    for order in permutations(range(4)):
        scheduler = ParetoAsha(TARGETS, [1, 3], 3)
        went_on = [n for n in order if tell(scheduler, n, 1, points[n])]
        while (number := scheduler.next_to_resume()) is not None:
            went_on.append(number)
        assert set(went_on) <= {0, min(order[:3])}, "the best of all, or of the first three"
        assert 0 in went_on
        scheduler.all_began = True
        went_on += iter(scheduler.next_to_resume, None)
        assert sorted(went_on) == [0, 1, 2], "a short study needs a front"


def test_of_those_that_may_go_on_the_farthest_does_first() -> None:
    scheduler = ParetoAsha(TARGETS, [1, 3, 9], 2)
    for number in range(4):
        scheduler.reached(number, 1, metrics((0.5, 0.5, number / 4)), paused=number < 2)
    for number in (2, 3):
        scheduler.reached(number, 3, metrics((0.5, 0.5, number / 4)), paused=True)
    assert list(iter(scheduler.next_to_resume, None)) == [3], (
        "2 and 3 are the best at epoch 1, 3 is the best at epoch 3"
    )
    scheduler.all_began = True
    assert list(iter(scheduler.next_to_resume, None)) == [2, 1], (
        "and one of the others comes so that three go on"
    )


def test_what_a_resume_hears_of_counts() -> None:
    scheduler = ParetoAsha(TARGETS, [1, 3], 3)
    for number in range(3):
        scheduler.reached(number, 1, metrics((0.9, 0.9, 0.9)))
    assert not tell(scheduler, 7, 1, (0.1, 0.1, 0.1))
    assert scheduler.next_to_resume() is None, "the best have gone on or ended"
    assert tell(scheduler, 8, 1, (1.0, 1.0, 1.0))


def test_others_go_on_in_the_place_of_those_that_fail() -> None:
    scheduler = ParetoAsha(TARGETS, [1, 3, 9], 3)
    for number in range(6):
        tell(scheduler, number, 1, (0.5, 0.5, 1 - number / 10))
    scheduler.all_began = True
    first = [*iter(scheduler.next_to_resume, None)]
    assert sorted(first) == [0, 1, 2]
    for number in first:
        scheduler.ended_early(number)
    assert sorted(iter(scheduler.next_to_resume, None)) == [3, 4, 5]


def test_what_was_stopped_counts_but_takes_no_place() -> None:
    scheduler = ParetoAsha(TARGETS, [1, 3], 3)
    for number in range(3):
        scheduler.reached(number, 1, metrics((0.9, 0.9, 0.9)), paused=True)
        scheduler.ended_early(number)
    assert scheduler.next_to_resume() is None
    assert tell(scheduler, 3, 1, (0.1, 0.1, 0.1)), (
        "one of the four that have reached it, and the only one left"
    )
    assert not tell(scheduler, 4, 1, (0.0, 0.0, 0.0))
    assert tell(scheduler, 5, 1, (0.2, 0.2, 0.2)), "two of six"


def test_under_fifo_no_trial_pauses() -> None:
    fifo = Fifo()
    for number in range(6):
        fifo.reached(number, 1, metrics((0.5, 0.5, number / 6)), paused=False)
        fifo.ended_early(number)
    fifo.all_began = True
    assert fifo.next_to_resume() is None
    assert fifo.beyond(0) == []


def test_a_scheduler_has_to_decide_everything() -> None:
    class Half(Scheduler):
        def next_to_resume(self) -> int | None:
            return None

    with pytest.raises(TypeError, match="abstract"):
        Half()  # type: ignore[abstract]
