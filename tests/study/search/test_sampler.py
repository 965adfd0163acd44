"""What every sampler keeps to, whichever it is: proposals inside the space, whatever becomes of them."""

from typing import Any

import numpy as np
import pytest

import search_spaces
from study.search.feasible import FeasibleSpace
from study.search.proposals import make_sampler
from study.search.sampler import Proposal, Sampler
from study.store.options import SAMPLERS

SPACE = search_spaces.parse(
    {
        "parameters": {
            "lambda1": {"type": "float", "low": 0.1, "high": 10.0, "log": True},
            "mask": {"type": "choice", "values": ["ratio", "threshold"]},
            "gamma": {"type": "choice", "values": [0.1, 0.2], "when": {"mask": ["threshold"]}},
        }
    },
    "small",
)
NAMES = [name for name in SAMPLERS if name != "grid"]
RUNG, LAST = 1, 9
NO_ERROR = np.zeros(2)


@pytest.fixture(params=NAMES)
def sampler(request: pytest.FixtureRequest) -> Sampler:
    made = make_sampler(request.param, FeasibleSpace(SPACE), objectives=2, seed=0, epochs=LAST)
    assert made
    return made


def gains(point: dict[str, Any]) -> np.ndarray:
    return np.array([1 / (1 + point["lambda1"]), 0.5])


def test_a_proposal_is_of_a_new_trial_unless_it_says_otherwise() -> None:
    assert not Proposal({"lambda1": 1.0}).is_paused


def test_a_sampler_has_all_of_the_interface() -> None:
    class Half(Sampler):
        def propose(self) -> Proposal:
            return Proposal({})

    with pytest.raises(TypeError, match=r"abstract methods .*\bmeasure\b.*\bstart\b"):
        Half()  # type: ignore[abstract]


def test_every_proposal_is_in_the_space(sampler: Sampler) -> None:
    for _ in range(8):
        point = sampler.propose().point
        assert point in SPACE
        sampler.start(point)
        sampler.measure(point, RUNG, gains(point), NO_ERROR)
        sampler.measure(point, LAST, gains(point), NO_ERROR)
        sampler.end(point)


def test_there_is_another_proposal_after_one_was_rejected(sampler: Sampler) -> None:
    for _ in range(5):
        proposal = sampler.propose()
        sampler.reject(proposal)
    assert sampler.propose().point in SPACE


def test_a_point_that_was_not_proposed_may_run(sampler: Sampler) -> None:
    """The corners of a space come first, and a resume starts what ran before."""
    points: list[dict[str, Any]] = [
        {"lambda1": 0.1, "mask": "ratio"}, {"lambda1": 10.0, "mask": "threshold", "gamma": 0.2},
    ]  # fmt: skip
    for point in points:
        sampler.start(point)
    for point in points:
        sampler.measure(point, LAST, gains(point), NO_ERROR)
        sampler.end(point)
    assert sampler.propose().point in SPACE


def test_a_paused_trial_may_start_again(sampler: Sampler) -> None:
    point = sampler.propose().point
    for _ in range(2):
        sampler.start(point)
        sampler.measure(point, RUNG, gains(point), NO_ERROR)
        sampler.pause(point)
    sampler.start(point)
    sampler.measure(point, LAST, gains(point), NO_ERROR)
    sampler.end(point)
    assert sampler.propose().point in SPACE


def test_a_measurement_that_is_not_finite_harms_no_later_proposal(sampler: Sampler) -> None:
    for _ in range(4):
        point = sampler.propose().point
        sampler.start(point)
        sampler.measure(point, LAST, np.array([np.nan, 0.5]), NO_ERROR)
        sampler.end(point)
    assert sampler.propose().point in SPACE
