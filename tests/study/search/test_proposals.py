"""Proposals of every sampler: feasible, new, in the space, and all of a finite one."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import search_spaces
from search_spaces import Space
from study.search.feasible import FeasibleSpace
from study.search.proposals import TRIALS_PER_RESUME, Proposals, make_sampler
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
LAYERS = ["conv1", "conv2", "fc1", "fc2"]
MIXED = search_spaces.load("mixed_bits").resolve(LAYERS)


def gains(point: Mapping[str, Any]) -> list[float]:
    widths = [value for name, value in point.items() if name.startswith("bits.")]
    return [
        1 - sum(2.0**-w for w in widths),
        1 - sum(widths) / 40,
        1 - abs(point.get("mask_ratio", 0.5) - 0.3),
    ]


def proposals_of(
    space: Space | FeasibleSpace, sampler: str, seed: int = 0, objectives: int = 3, **more: Any
) -> Proposals:
    whole = FeasibleSpace(space) if isinstance(space, Space) else space
    return Proposals(whole, make_sampler(sampler, whole, objectives, seed, epochs=9), **more)


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


BOPS = 50_306_048
"""Of the cheapest configuration of `paper_cnn`: two bits everywhere."""


@pytest.mark.parametrize("share", [1.01, 1.2, 2.0, 3.0])
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name != "grid"])
def test_proposals_keep_the_constraints(
    sampler: str, share: float, request_of: Callable[..., Request]
) -> None:
    """However little of the space they leave; what is proposed at random seldom keeps them."""
    request = request_of(max_bops=share * BOPS)
    points = drain(proposals_of(FeasibleSpace.of(request), sampler), 16)
    assert len({frozenset(point.items()) for point in points}) == 16
    assert all(point in request.space and request.is_feasible(point) for point in points)


def widths_only(layers: int, request_of: Callable[..., Request], **bounds: float) -> FeasibleSpace:
    """Return a space of widths of the last `layers` layers of the small network, the others at 2 bits."""
    widths = {f"bits.{layer}": {"type": "choice", "values": [2, 4, 8]} for layer in LAYERS[-layers:]}
    space = search_spaces.parse({"parameters": widths}, "widths")
    fixed = {f"bits.{layer}": 2 for layer in LAYERS[:-layers]}
    return FeasibleSpace(space, replace(request_of(fixed=fixed), space=space, constraints=bounds))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_space_is_exhausted_when_its_feasible_part_is(
    sampler: str, request_of: Callable[..., Request]
) -> None:
    space = widths_only(4, request_of, bops=1.5 * BOPS)
    request = space.request
    assert request
    feasible = [point for point in space.space.grid() if request.is_feasible(point)]
    assert 5 < len(feasible) < 81
    points = drain(proposals_of(space, sampler), 100)
    assert sorted(map(str, points)) == sorted(map(str, feasible))


def test_constraints_that_leave_nothing_exhaust_a_space_at_once(request_of: Callable[..., Request]) -> None:
    space = widths_only(2, request_of, bops=0.9 * BOPS)
    for sampler in ("sms_ego", "tpe", "grid"):
        assert proposals_of(space, sampler).next() is None


def test_constraints_that_leave_nothing_of_an_infinite_space_are_told(
    request_of: Callable[..., Request],
) -> None:
    request = replace(request_of(), constraints={"bops": 0.9 * BOPS})
    with pytest.raises(UserError, match="--max-bops"):
        proposals_of(FeasibleSpace.of(request), "random").next()


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
    assert again <= len(came) // TRIALS_PER_RESUME


@pytest.mark.parametrize("bops", [math.inf, 1.5 * BOPS])
@pytest.mark.parametrize("sampler", ["sms_ego", "tpe", "random"])
def test_what_pauses_is_not_resumed_for_want_of_new_configurations(
    sampler: str, bops: float, request_of: Callable[..., Request]
) -> None:
    """Nor does what was resumed, and runs, come again."""
    space = widths_only(4, request_of, bops=bops)
    proposals, came = proposals_of(space, sampler), []
    while point := proposals.next():
        assert came.count(point) < 2
        came.append(point)
        if came.count(point) == 1:
            proposals.measure(point, 1, gains(point))
            proposals.pause(point)
    feasible = list(space.points())
    assert came.count(came[-1]) == 1, "the last that came was new"
    assert all(point in came for point in feasible)
    assert len(came) - len(feasible) <= len(feasible) // TRIALS_PER_RESUME


def test_what_runs_again_is_not_offered_as_paused() -> None:
    sampler = make_sampler("sms_ego", FeasibleSpace(FINITE), 3, 0, epochs=9)
    assert sampler
    first, *others = list(FINITE.grid())[:7]
    for point in (first, *others):
        sampler.start(point)
        sampler.measure(point, 1, np.array(gains(point)), np.zeros(2))
        sampler.pause(point)
    sampler.start(first)
    proposals = [sampler.propose() for _ in range(20)]
    offered = [proposal.point for proposal in proposals if proposal.is_paused]
    assert sorted(map(str, offered)) == sorted(map(str, others))
