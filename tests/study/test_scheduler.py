"""The scheduler against brute force, whatever the order, the ties and the NaNs."""

import math
from itertools import permutations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from results import Objective
from study.ranking import best, exclusive_hypervolumes
from study.scheduler import ParetoAsha

GOOD = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
VALUE = st.one_of(GOOD, st.just(math.nan))
POINTS = st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=1, max_size=12)
TARGETS = {
    "accuracy": Objective(direction="max", ideal=1.0, reference=0.0),
    "flops": Objective(direction="min", ideal=0.0, reference=1.0),
    "faithfulness": Objective(direction="max", ideal=1.0, reference=0.0),
}


def layers(points: list[tuple[float, ...]]) -> list[int]:
    """Non-dominated rank of each point by the definition: peel off what nothing left dominates."""
    rows = [tuple(-math.inf if math.isnan(v) else v for v in p) for p in points]
    rank, left = {}, set(range(len(rows)))
    while left:
        top = {
            i
            for i in left
            if not any(
                all(a >= b for a, b in zip(rows[j], rows[i], strict=True)) and rows[j] != rows[i]
                for j in left
            )
        }
        rank |= dict.fromkeys(top, len(set(rank.values())))
        left -= top
    return [rank[i] for i in range(len(rows))]


@given(points=POINTS, data=st.data())
def test_best_takes_whole_layers_first(points: list[tuple[float, ...]], data: st.DataObject) -> None:
    k = data.draw(st.integers(1, len(points)))
    taken = best(np.array(points), k).tolist()
    assert len(set(taken)) == k
    ranks = layers(points)
    worst_taken = max(ranks[i] for i in taken)
    assert all(ranks[i] >= worst_taken for i in range(len(points)) if i not in taken)


CELLS = np.array(list(product((0.25, 0.5, 0.75, 1.0), repeat=3)))
"""The upper corners of the cells that values of `GOOD` cut the unit cube into."""


@given(points=st.lists(st.tuples(GOOD, GOOD, GOOD), min_size=1, max_size=8))
def test_an_exclusive_hypervolume_is_that_of_the_cells_no_other_point_covers(
    points: list[tuple[float, ...]],
) -> None:
    front = sorted({p for p in points if layers(points)[points.index(p)] == 0})
    covers = np.array([(np.array(point) >= CELLS).all(axis=1) for point in front])
    alone = (covers & (covers.sum(axis=0) == 1)).sum(axis=1) / 4**3
    assert exclusive_hypervolumes(np.array(front)).tolist() == pytest.approx(alone.tolist())
    assert exclusive_hypervolumes(np.array(front * 2)).tolist() == pytest.approx([*alone, *0 * alone])


def test_where_all_are_worse_than_the_reference_the_order_is_still_one() -> None:
    points = np.array([[-0.5, -0.1], [-0.1, -0.5], [-0.2, -0.2]])
    assert best(points, 1).tolist() == [2]


def metrics(point: tuple[float, ...]) -> dict[str, float]:
    return dict(zip(TARGETS, (point[0], 1 - point[1], point[2]), strict=True))


@settings(max_examples=50)
@given(points=POINTS, factor=st.integers(2, 4))
def test_a_trial_goes_on_exactly_if_it_is_among_the_best(
    points: list[tuple[float, ...]], factor: int
) -> None:
    scheduler = ParetoAsha(TARGETS, [1, 3, 9], factor)
    for n, point in enumerate(points):
        k = min(n + 1, max(3, math.ceil((n + 1) / factor)))
        expected = n in best(np.array(points[: n + 1]), k)
        assert scheduler.goes_on(n, 1, metrics(point)) == expected
        assert scheduler.goes_on(n, 1, metrics(point)), "a rung is decided once"


@given(point=st.tuples(VALUE, VALUE, VALUE))
def test_only_rungs_before_the_last_decide(point: tuple[float, ...]) -> None:
    scheduler = ParetoAsha(TARGETS, [1, 3, 9], 3)
    scheduler.goes_on(0, 1, metrics((1.0, 1.0, 1.0)))
    assert scheduler.goes_on(1, 2, metrics(point))
    assert scheduler.goes_on(1, 9, metrics(point))


def test_a_dominated_trial_stops_in_any_order() -> None:
    points = [(1.0, 1.0, 1.0), (0.9, 0.9, 0.9), (0.8, 0.8, 0.8), (0.2, 0.2, 0.2)]
    for order in permutations(range(4)):
        scheduler = ParetoAsha(TARGETS, [1, 3], 3)
        decisions = {n: scheduler.goes_on(n, 1, metrics(points[n])) for n in order}
        assert decisions[0], "the best goes on whenever it comes"
        assert decisions[3] == (order[-1] != 3), "the worst goes on only if it is one of the first three"


def test_a_resume_knows_the_earlier_rungs() -> None:
    history = [(n, 1, metrics((0.9, 0.9, 0.9))) for n in range(3)]
    assert not ParetoAsha(TARGETS, [1, 3], 3, history).goes_on(7, 1, metrics((0.1, 0.1, 0.1)))
    assert ParetoAsha(TARGETS, [1, 3], 3).goes_on(7, 1, metrics((0.1, 0.1, 0.1)))
