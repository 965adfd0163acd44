"""The default sampler where an objective tells nothing: constant, or never better than its reference."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import search_spaces
from results.analysis.fronts import volume
from study.search.feasible import FeasibleSpace
from study.search.proposals import Proposals, make_sampler

SPACE = search_spaces.parse(
    {
        "parameters": {
            name: {"type": "float", "low": 0.0, "high": 1.0}
            for name in ("lr", "mask_ratio", "lambda1", "eta")
        }
    },
    "toy",
)


def toy(point: Mapping[str, Any]) -> list[float]:
    """Two objectives that trade off along `lr`; the others should be near 0.3."""
    far = sum((point[name] - 0.3) ** 2 for name in ("mask_ratio", "lambda1", "eta"))
    return [0.9 * point["lr"] ** 0.5 - far, 0.9 * (1 - point["lr"]) ** 0.5 - far]


def tried(
    gains: Callable[[Mapping[str, Any]], list[float]], seed: int, trials: int = 18
) -> list[dict[str, Any]]:
    whole = FeasibleSpace(SPACE)
    objectives = len(gains(dict.fromkeys(SPACE.parameters, 0.5)))
    proposals = Proposals(whole, make_sampler("sms_ego", whole, objectives, seed, epochs=9))
    points: list[dict[str, Any]] = []
    for _ in range(trials):
        point = proposals.next()
        assert point
        points.append(point)
        for epoch, share in ((1, 0.8), (9, 1.0)):
            proposals.measure(point, epoch, [share * gain for gain in gains(point)])
        proposals.end(point)
    return points


@pytest.mark.parametrize("seed", range(20))
def test_a_constant_objective_changes_no_proposal(seed: int) -> None:
    """Before, at 0 every volume was 0 and the sampler no better than random."""
    assert tried(lambda point: [*toy(point), 0.0], seed) == tried(toy, seed)


def test_an_objective_beyond_its_reference_does_not_blind_the_sampler() -> None:
    """The volume is then measured from the worst that was measured."""

    def reached(points: list[dict[str, Any]]) -> float:
        return float(volume(1 - np.array([toy(point) for point in points])))

    seeds = range(5)
    beyond = [reached(tried(lambda p: [toy(p)[0], toy(p)[1] - 1.5], seed, trials=30)) for seed in seeds]
    random = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        random.append(
            reached([dict(zip(SPACE.parameters, generator.random(4), strict=True)) for _ in range(30)])
        )
    assert np.mean(beyond) > np.mean(random) + 0.02


@pytest.mark.parametrize("seed", range(3))
def test_what_is_known_is_not_learned_from_measurements(seed: int) -> None:
    """What was measured of the second objective says nothing; that large `lr` are best there is known."""
    random = np.random.default_rng(seed)
    whole = FeasibleSpace(SPACE)
    sampler = make_sampler(
        "sms_ego", whole, 2, seed, 9, known=lambda point: np.array([np.nan, float(point["lr"] > 0.9)])
    )
    assert sampler
    for _ in range(8):
        point = sampler.propose().point
        sampler.start(point)
        sampler.measure(
            point, 9, np.array([0.5 + 0.01 * random.random(), 0.1 * random.random()]), np.zeros(2)
        )
        sampler.end(point)
    assert sampler.propose().point["lr"] > 0.9


def test_a_lucky_draw_does_not_hide_what_is_better() -> None:
    """One measurement that is far too good, and has an error to match, costs the search next to nothing."""

    def reached(seed: int, lucky: bool) -> float:
        whole = FeasibleSpace(SPACE)
        proposals = Proposals(whole, make_sampler("sms_ego", whole, 2, seed, epochs=9))
        points: list[dict[str, Any]] = []
        for number in range(30):
            point = proposals.next()
            assert point
            points.append(point)
            is_lucky = lucky and number == 6
            proposals.measure(point, 9, [0.95, 0.95] if is_lucky else toy(point), [0.5 * is_lucky] * 2)
            proposals.end(point)
        return float(volume(1 - np.clip([toy(point) for point in points], 0, None)))

    lost = [reached(seed, lucky=False) - reached(seed, lucky=True) for seed in range(4)]
    assert np.mean(lost) < 0.02
