"""Stratified shares against counting."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainables.data.listing.splits import TooFewGroupsError, grouped, stratified


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


SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


@st.composite
def grouped_sets(draw, mixed):
    """Labels and groups of random sets in which each class has at least three groups of its own."""
    classes = draw(st.integers(1, 4))
    groups = [
        [label] * draw(st.integers(1, 8)) for label in range(classes) for _ in range(draw(st.integers(3, 12)))
    ]
    if mixed:
        groups += draw(st.lists(st.lists(st.integers(0, classes - 1), min_size=1, max_size=6), max_size=10))
    order = draw(st.permutations([(label, number) for number, group in enumerate(groups) for label in group]))
    return np.array([label for label, _ in order]), np.array([number for _, number in order])


@given(grouped_sets(mixed=True))
def test_no_group_is_in_two_parts_and_every_image_is_in_one(drawn):
    labels, groups = drawn
    parts = grouped(labels, groups, SHARES)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(len(labels)))
    found = [set(groups[indices]) for indices in parts.values()]
    assert not found[0] & found[1]
    assert not found[0] & found[2]
    assert not found[1] & found[2]
    assert all(set(labels[indices]) == set(labels) for indices in parts.values())
    again = grouped(labels, groups, SHARES)
    assert all(np.array_equal(parts[name], again[name]) for name in SHARES)


@given(grouped_sets(mixed=False))
def test_a_part_misses_its_share_of_a_class_by_less_than_the_largest_groups(drawn):
    """Stratified as far as groups allow: no part is further off than two groups of the class."""
    labels, groups = drawn
    parts = grouped(labels, groups, SHARES)
    for label in set(labels):
        sizes = np.unique(groups[labels == label], return_counts=True)[1]
        for name, share in SHARES.items():
            count = int((labels[parts[name]] == label).sum())
            wanted = max(1, share * sizes.sum())
            assert abs(count - wanted) <= 2 * sizes.max()


def test_many_small_groups_are_split_as_single_images_would_be():
    labels = np.repeat([0, 1, 2], (900, 300, 60))
    parts = grouped(labels, np.arange(labels.size), SHARES)
    for name, share in SHARES.items():
        assert np.abs(np.bincount(labels[parts[name]]) - share * np.array([900, 300, 60])).max() <= 1


@given(grouped_sets(mixed=True), st.integers(0, 100))
def test_the_names_of_groups_do_not_matter_if_their_order_stays(drawn, offset):
    labels, groups = drawn
    parts, others = grouped(labels, groups, SHARES), grouped(labels, groups * 3 + offset, SHARES)
    assert all(np.array_equal(parts[name], others[name]) for name in SHARES)


def test_a_class_of_too_few_groups_is_named():
    labels, groups = np.array([0, 0, 0, 1, 1, 1, 1]), np.array([0, 1, 2, 3, 3, 4, 4])
    with pytest.raises(TooFewGroupsError) as info:
        grouped(labels, groups, SHARES)
    assert info.value.label == 1
