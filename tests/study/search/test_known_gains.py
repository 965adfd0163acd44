"""What is known of a configuration without training: its costs, to the last digit."""

from collections.abc import Callable

import numpy as np
import pytest

import trainables
from study.search.known_gains import KnownGains
from study.store.request import Request
from study_common import objectives

RequestOf = Callable[..., Request]


@pytest.mark.parametrize(
    "goals", ["accuracy:max,flops:min,faithfulness:max", "size_bytes:min,loss:min,bops:min"]
)
def test_gains_of_costs_are_those_of_the_recorded_costs(request_of: RequestOf, goals: str) -> None:
    request = request_of(objectives=goals)
    known = KnownGains(request)
    for point in (*request.queue[:2], {**request.queue[0], "bits.fc1": 6, "bits.conv2": 3}):
        costs = trainables.costs(request.config(point))
        expected = objectives.gains(request.objectives, costs)
        assert np.array_equal(known(point), expected, equal_nan=True)
        assert np.isnan(expected).sum() == len(expected) - sum(name in costs for name in request.objectives)


def test_a_study_without_costs_knows_nothing(request_of: RequestOf) -> None:
    request = request_of(objectives="accuracy:max,faithfulness:max")
    assert np.isnan(KnownGains(request)(request.queue[0])).all()
