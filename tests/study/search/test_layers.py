"""Layers that are kept up to date are those of a ranking of all points, and so is the order of what waits."""

import math

import moocore
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from study.search import layers
from study.search.layers import Layers
from study.search.ranking import best

GAIN = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0, -0.5, math.nan, math.inf, -math.inf])
"""Few values, so that many are equal; what is not finite is the worst."""


def ranks_of(gains: dict[int, tuple[float, ...]]) -> dict[int, int]:
    points = np.array(list(gains.values()))
    points = np.where(np.isfinite(points), points, -9.0)
    return dict(zip(gains, moocore.pareto_rank(points, maximise=True).tolist(), strict=True))


def first_waiting_of(gains: dict[int, tuple[float, ...]], waiting: set[int], count: int) -> int | None:
    numbers = sorted(gains)
    if not numbers or not count:
        return None
    chosen = best(np.array([gains[number] for number in numbers]), min(count, len(numbers)))
    return next((numbers[i] for i in chosen if numbers[i] in waiting), None)


@settings(max_examples=200)
@given(st.data(), st.integers(1, 5))
def test_whatever_comes_and_goes_the_layers_are_those_of_a_ranking_of_all(
    data: st.DataObject, m: int
) -> None:
    point = st.tuples(*[GAIN] * m)
    gains = dict(enumerate(data.draw(st.lists(point, max_size=8))))
    waiting = {number for number in gains if number % 2}
    kept = Layers(gains, waiting)
    for number in range(10, 10 + data.draw(st.integers(0, 12))):
        if gains and data.draw(st.booleans()):
            gone = data.draw(st.sampled_from(sorted(gains)))
            kept.remove(gone)
            waiting.discard(gone)
            del gains[gone]
        gains[number] = data.draw(point)
        kept.add(number, gains[number])
        kept.wait(number)
        waiting.add(number)
        if data.draw(st.booleans()):
            goes = data.draw(st.sampled_from(sorted(waiting)))
            kept.go_on(goes)
            waiting.discard(goes)
        assert kept.ranks() == ranks_of(gains)
        for count in (0, 1, len(gains) // 3, len(gains), len(gains) + 1):
            assert kept.first_waiting(count) == first_waiting_of(gains, waiting, count)
    assert len(kept) == len(gains)


def test_of_a_large_layer_the_volumes_are_nearly_those_of_all_its_members(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A front of 300: of the third that goes on, nine in ten are the third by exact volumes."""
    rng = np.random.default_rng(0)
    points = rng.random((300, 3)) + 0.1
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    gains = {number: tuple(point) for number, point in enumerate(points.tolist())}
    kept = Layers({number: gains[number] for number in range(150)})
    computed: list[int] = []
    exact = layers.exclusive_hypervolumes
    monkeypatch.setattr(layers, "exclusive_hypervolumes", lambda some: computed.append(1) or exact(some))
    kept.wait(0)
    for number in range(150, 300):
        kept.add(number, gains[number])
        kept.wait(number)
        kept.first_waiting(100)
    assert len(computed) < 20
    chosen: list[int] = []
    for number in range(300):
        kept.wait(number)
    while (number := kept.first_waiting(100)) is not None:
        kept.go_on(number)
        chosen.append(number)
    assert len(chosen) == 100
    assert len({*chosen} & {*best(points, 100).tolist()}) >= 90
