"""Proposals of every sampler: feasible, new, in the space, and all of a finite one."""

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

import numpy as np
import pytest

import search_spaces
from search_spaces import Space
from study.search.proposals import ONE_IN, Proposals, make_sampler
from study.store.options import SAMPLERS
from study.store.request import Request
from study_common.errors import UserError

FINITE = search_spaces.parse(
    {
        "parameters": {
            "mask": {"type": "choice", "values": ["ratio", "threshold"]},
            "gamma": {"type": "choice", "values": [0.1, 0.2], "when": {"mask": ["threshold"]}},
            "batch_size": {"type": "int", "low": 64, "high": 192, "step": 64},
        }
    },
    "finite",
)
MIXED = search_spaces.load("mixed_bits").resolve(["conv1", "conv2", "fc1", "fc2"])


def gains(point: Mapping[str, Any]) -> list[float]:
    widths = [value for name, value in point.items() if name.startswith("bits.")]
    return [
        1 - sum(2.0**-w for w in widths),
        1 - sum(widths) / 40,
        1 - abs(point.get("mask_ratio", 0.5) - 0.3),
    ]


def proposals_of(space: Space, sampler: str, seed: int = 0, objectives: int = 3, **more: Any) -> Proposals:
    return Proposals(space, make_sampler(sampler, space, objectives, seed, epochs=9), **more)


def drain(proposals: Proposals, n: int) -> list[dict[str, Any]]:
    """Ask up to `n` times, and tell a truthful end each time: every third trial is stopped."""
    points: list[dict[str, Any]] = []
    while len(points) < n and (point := proposals.next()):
        points.append(point)
        proposals.measure(point, 1, [gain / 2 for gain in gains(point)])
        if len(points) % 3:
            proposals.measure(point, 9, gains(point))
        proposals.end(point)
    return points


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_finite_space_is_exhausted_and_nothing_comes_twice(sampler: str) -> None:
    points = drain(proposals_of(FINITE, sampler), 100)
    assert len(points) == FINITE.size() == 9
    assert {frozenset(point.items()) for point in points} == {frozenset(p.items()) for p in FINITE.grid()}


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "grid"])
def test_proposals_are_in_the_space_and_new(sampler: str) -> None:
    points = drain(proposals_of(MIXED, sampler), 14)
    assert len({frozenset(point.items()) for point in points}) == 14
    assert all(point in MIXED for point in points)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_seed_repeats_itself(sampler: str) -> None:
    space = FINITE if sampler == "grid" else MIXED
    runs = [drain(proposals_of(space, sampler, s), 13) for s in (3, 3, 4)]
    assert runs[0] == runs[1]
    assert (runs[0] == runs[2]) == (sampler == "grid")


def is_narrow(point: Mapping[str, Any]) -> bool:
    return sum(value for name, value in point.items() if name.startswith("bits.")) <= 14


@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "grid"])
def test_what_is_infeasible_never_comes(sampler: str) -> None:
    proposals = proposals_of(MIXED, sampler, is_feasible=is_narrow)
    points = drain(proposals, 16)
    assert len(points) == 16
    assert all(map(is_narrow, points))
    assert proposals.rejected["infeasible"] > 0


def test_what_is_infeasible_counts_once() -> None:
    widths = {f"bits.{layer}": {"type": "choice", "values": [2, 4, 8]} for layer in "abcd"}
    space = search_spaces.parse({"parameters": widths}, "widths")
    feasible = [point for point in space.grid() if is_narrow(point)]
    proposals = proposals_of(space, "sms_ego", is_feasible=is_narrow)
    drain(proposals, len(feasible) + 1)
    assert proposals.rejected["infeasible"] == space.size() - len(feasible)


def test_constraints_that_leave_nothing_are_told() -> None:
    proposals = proposals_of(MIXED, "random", is_feasible=lambda point: False)
    with pytest.raises(UserError, match="--max-bops"):
        proposals.next()
    finite = proposals_of(FINITE, "random", is_feasible=lambda point: False)
    assert finite.next() is None


def test_a_large_finite_space_is_never_taken_for_exhausted() -> None:
    parameters = {f"bits.{layer}": {"type": "choice", "values": [2, 4, 8]} for layer in range(11)}
    large = search_spaces.parse({"parameters": parameters}, "large")
    last = list(large.grid())[-1]
    proposals = proposals_of(large, "random", is_feasible=lambda point: point == last)
    with pytest.raises(UserError, match="--max-bops"):
        proposals.next()
    listed = proposals_of(large, "grid", is_feasible=lambda point: point == last)
    assert [listed.next(), listed.next()] == [last, None]


def test_the_queue_comes_first_and_once(request_of: Callable[..., Request]) -> None:
    request = request_of()
    proposals = proposals_of(request.space, "tpe", queue=request.queue)
    assert drain(proposals, 4)[:3] == request.queue
    again = proposals_of(request.space, "tpe", queue=request.queue)
    for point in request.queue[:2]:
        again.start(point)
    assert again.next() == request.queue[2]
    assert again.rejected["repeat"] == 2


def test_an_enumerated_space_comes_in_order() -> None:
    space: Space = search_spaces.load("paper_table_ii").resolve(["conv1", "conv2", "fc1", "fc2"])
    assert drain(proposals_of(space, "tpe"), 99) == list(space.points)


@pytest.mark.parametrize("sampler", ["sms_ego", "tpe"])
def test_a_sampler_learns_from_what_it_is_told(sampler: str) -> None:
    """Proposals near the good points of a study come more often than by chance."""
    space = search_spaces.parse(
        {"parameters": {"mask_ratio": {"type": "float", "low": 0.0, "high": 1.0}}}, "one"
    )
    proposals = proposals_of(space, sampler, objectives=2)
    tried = []
    for _ in range(60):
        point = proposals.next()
        assert point
        tried.append(point["mask_ratio"])
        value = 1 - abs(point["mask_ratio"] - 0.3)
        proposals.measure(point, 9, [value, value])
        proposals.end(point)
    assert sum(abs(ratio - 0.3) < 0.1 for ratio in tried[30:]) > 15  # 6 by chance


@pytest.mark.parametrize("sampler", ["sms_ego", "tpe", "random"])
def test_only_a_sampler_that_weighs_what_pauses_has_it_go_on(sampler: str) -> None:
    """The first is far better than the others after an epoch; all pause."""
    proposals, came = proposals_of(MIXED, sampler), []
    for _ in range(16):
        came.append(proposals.next())
        assert came[-1]
        proposals.measure(came[-1], 1, [0.9 if came[-1] == came[0] else 0.1] * 3)
        proposals.pause(came[-1])
    assert (came.count(came[0]) > 1) == (sampler == "sms_ego")
    again = len(came) - len({frozenset(point.items()) for point in came})
    assert again <= len(came) // ONE_IN


@pytest.mark.parametrize("is_feasible", [lambda point: True, lambda point: point["batch_size"] <= 128])
@pytest.mark.parametrize("sampler", ["sms_ego", "tpe", "random"])
def test_what_pauses_does_not_go_on_for_want_of_new_configurations(sampler: str, is_feasible: Any) -> None:
    """Nor does what goes on, and runs, come again."""
    proposals, came = proposals_of(FINITE, sampler, is_feasible=is_feasible), []
    while point := proposals.next():
        assert came.count(point) < 2
        came.append(point)
        if came.count(point) == 1:
            proposals.measure(point, 1, gains(point))
            proposals.pause(point)
    feasible = [point for point in FINITE.grid() if is_feasible(point)]
    assert came.count(came[-1]) == 1, "the last that came was new"
    assert all(point in came for point in feasible)
    assert len(came) - len(feasible) <= len(feasible) // ONE_IN


def test_what_runs_again_is_not_offered_as_paused() -> None:
    sampler = make_sampler("sms_ego", FINITE, 3, 0, epochs=9)
    assert sampler
    first, *others = list(FINITE.grid())[:7]
    for point in (first, *others):
        sampler.start(point)
        sampler.measure(point, 1, np.array(gains(point)))
        sampler.pause(point)
    sampler.start(first)
    offered = [point for point, pauses in islice(sampler.propose(), 20) if pauses]
    assert sorted(map(str, offered)) == sorted(map(str, others))
