"""Stratified shares against counting."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.splits import stratified


@given(st.lists(st.integers(0, 4), max_size=60), st.data())
def test_stratified_shares_are_within_one_image(labels, data):
    count = data.draw(st.integers(0, len(labels)))
    chosen = stratified(labels, count)
    assert chosen.size == count
    assert np.array_equal(chosen, np.unique(chosen))
    assert np.array_equal(chosen, stratified(labels, count))
    some = stratified(labels, count, least=1)
    assert set(some) >= set(chosen)
    assert set(np.asarray(labels)[some]) == set(labels)
    assert len(some) == count or len(set(np.asarray(labels)[chosen])) < len(set(labels))
    for label in set(labels):
        share = labels.count(label) * count / len(labels)
        assert abs(sum(labels[index] == label for index in chosen) - share) < 1
