"""Sampled fronts: what is updated equals what is made anew, and the random numbers are what they should be."""

from dataclasses import replace
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from results.analysis import sampled_fronts
from results.analysis.sampled_fronts import Means, may_be_front, sample


def means(count: int, seed: int, *, replicates: bool = False) -> Means:
    """Configurations of which about a third may be on the front."""
    rng = np.random.default_rng(seed)
    return Means(
        numbers=np.sort(rng.choice(3 * count, count, replace=False)),
        values=rng.random((count, 3)).round(1),  # some are equal
        images=np.column_stack([np.full(count, 0.1), np.zeros(count), rng.random(count) / 5]),
        replicates=rng.integers(1, 4, count).astype(float),
        seed=np.array([0.05, 0.0, 0.1]) * replicates,
        freedom=np.array([3, 0, 3]) * replicates,
    )


def part(whole: Means, rows: np.ndarray) -> Means:
    found = {name: getattr(whole, name)[rows] for name in ("numbers", "values", "images", "replicates")}
    return replace(whole, **found)


@settings(max_examples=40)
@given(st.integers(0, 2**32 - 1), st.booleans(), st.integers(2, 40))
def test_fronts_that_are_updated_are_those_made_anew(seed: int, replicates: bool, count: int) -> None:
    """Bit for bit, in whatever order configurations come, one at a time or many."""
    rng, whole = np.random.default_rng(seed), means(count, seed, replicates=replicates)
    order, known, there = rng.permutation(count), None, 0
    with mock.patch.object(sampled_fronts, "SIMULATIONS", 120):
        while there < count:
            there = min(count, there + int(rng.integers(1, count + 1)))
            now = part(whole, np.sort(order[:there]))
            updated, anew = sample(now, known), sample(now)
            assert updated.chances().tolist() == anew.chances().tolist()
            known = updated


@pytest.mark.parametrize("changed", ["values", "images", "replicates", "seed", "freedom", "numbers"])
def test_fronts_are_made_anew_when_more_has_changed_than_what_is_new(changed: str) -> None:
    before = means(20, 0, replicates=True)
    now = replace(before, **{changed: getattr(before, changed) + 1})
    assert sample(now, sample(before)).chances().tolist() == sample(now).chances().tolist()


def test_an_update_of_few_samples_nothing_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = means(20, 0)
    known = sample(part(whole, np.arange(19)))
    monkeypatch.setattr(sampled_fronts, "_anew", None)
    assert 0 < sample(whole, known).chances()[19] < 1


def test_random_numbers_are_normal_and_those_of_the_number_whoever_else_there_is() -> None:
    everything = sampled_fronts._normals(np.arange(1000), 3, 2)
    assert stats.kstest(everything.ravel(), stats.norm.cdf).pvalue > 0.001
    some = np.array([5, 31, 32, 700])
    assert np.array_equal(sampled_fronts._normals(some, 3, 2), everything[:, some])
    assert not np.array_equal(sampled_fronts._normals(some, 4, 2), everything[:, some])


def test_what_cannot_reach_the_front_is_not_simulated() -> None:
    rng = np.random.default_rng(0)
    costs, spread = rng.random((400, 3)), np.full((400, 3), 0.02)
    near = may_be_front(costs, spread)
    worst, best = costs + 0.08, costs - 0.08
    dominated = [any((w <= b).all() and (w < b).any() for w in worst) for b in best]
    assert near.tolist() == np.logical_not(dominated).tolist()
    assert 0 < near.sum() < 400
