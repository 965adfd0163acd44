"""Ranking by rank and hypervolume against brute force, whatever the ties and the NaNs."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.analysis.fronts import volume
from study.search.ranking import best, exclusive_hypervolumes, hypervolume_improvements

GOOD = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
VALUE = st.one_of(GOOD, st.just(math.nan))
POINTS = st.lists(st.tuples(VALUE, VALUE, VALUE), min_size=1, max_size=12)


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


SIGNED = st.one_of(GOOD, st.just(-0.5))


@given(
    points=st.lists(st.tuples(SIGNED, SIGNED, SIGNED), min_size=1, max_size=8),
    front=st.lists(st.tuples(SIGNED, SIGNED, SIGNED), max_size=8),
)
def test_an_improvement_is_that_of_the_cells_the_front_does_not_cover(
    points: list[tuple[float, ...]], front: list[tuple[float, ...]]
) -> None:
    covers = np.array([(np.array(point) >= CELLS).all(axis=1) for point in points])
    covered = (
        np.array([(np.array(point) >= CELLS).all(axis=1) for point in front]).reshape(-1, 64).any(axis=0)
    )
    expected = (covers & ~covered).sum(axis=1) / 4**3
    found = hypervolume_improvements(np.array(points), np.array(front).reshape(-1, 3))
    assert found.tolist() == pytest.approx(expected.tolist())


@pytest.mark.parametrize("objectives", [2, 5, 6])
def test_improvements_are_the_differences_of_two_hypervolumes(objectives: int) -> None:
    points = np.random.default_rng(objectives).random((30, objectives))
    front, some = points[:20], points[20:]
    expected = [volume(1 - np.vstack([front, point])) - volume(1 - front) for point in some]
    assert hypervolume_improvements(some, front).tolist() == pytest.approx(expected, abs=1e-12)
    assert not hypervolume_improvements(0.9 * front, front).any(), (
        "not even by rounding: these are ordered otherwise"
    )


def test_where_all_are_worse_than_the_reference_the_order_is_still_one() -> None:
    points = np.array([[-0.5, -0.1], [-0.1, -0.5], [-0.2, -0.2]])
    assert best(points, 1).tolist() == [2]


@given(
    points=st.lists(st.tuples(GOOD, GOOD), min_size=1, max_size=8), constant=st.sampled_from([-0.5, 0.0, 0.7])
)
def test_an_objective_in_which_all_are_equal_changes_nothing(
    points: list[tuple[float, float]], constant: float
) -> None:
    """At or beyond its reference it would make every volume 0, and the first row the best."""
    rows = np.array(points)
    for k in range(1, len(points) + 1):
        assert (
            best(np.column_stack([rows, np.full(len(rows), constant)]), k).tolist() == best(rows, k).tolist()
        )
