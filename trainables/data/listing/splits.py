"""Stratified splits that are the same on every machine and for every trial."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from study_common.errors import UserError

SEED = 0
"""The seed of every split: it belongs to the data set, never to a trial."""
_ATTEMPTS = 20
"""Orders of the groups that are tried before a split is given up."""


def stratified(labels: npt.ArrayLike, count: int, *, least: int = 0) -> np.ndarray:
    """Choose `count` indices in which every class has its share of `labels`, to within one image.

    Args:
        labels: (n,) classes of the images.
        count: How many to choose, 0 to n. The classes with the largest remainders get what rounding leaves.
        least: Each class gets at least this many images, even beyond `count`.

    Returns:
        (count,) ascending indices, or more because of `least`; the same for the same `labels` and `count`.

    >>> stratified([0, 0, 0, 0, 1, 1, 1, 1], 4).size
    4
    """
    labels = np.asarray(labels)
    assert 0 <= count <= labels.size, "cannot choose more images than there are"
    generator = np.random.default_rng(SEED)
    classes, sizes = np.unique(labels, return_counts=True)
    shares = sizes * count / max(labels.size, 1)
    quotas = np.floor(shares).astype(int)
    quotas[np.argsort(quotas - shares, kind="stable")[: count - quotas.sum()]] += 1
    quotas = quotas.clip(least)
    chosen = [
        generator.permutation(np.flatnonzero(labels == label))[:quota]
        for label, quota in zip(classes, quotas, strict=True)
    ]
    return np.sort(np.concatenate([*chosen, np.empty(0, int)])).astype(int)


class TooFewGroupsError(UserError):
    """A class whose groups do not reach every part."""

    def __init__(self, label: int) -> None:
        super().__init__(f"class {label} has too few groups for every part")
        self.label = label


def grouped(labels: np.ndarray, groups: np.ndarray, shares: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Split images so that no group lies in two parts, stratified as far as groups allow.

    Iterative stratification (Sechidis, Tsoumakas and Vlahavas, "On the stratification of multi-label data", 2011) with
    groups as examples: the class with the fewest open groups goes first, its largest groups first, each to the part
    that still lacks most images of the class. Every part gets a group of every class.

    Args:
        labels: (n,) classes 0 ... c - 1 of the images.
        groups: (n,) any integers; equal ones are one group.
        shares: The share of the images that each part should have; they add up to 1.

    Returns:
        The ascending indices of each part; each index is in exactly one.

    Raises:
        TooFewGroupsError: A class has images in fewer groups than there are parts, or groups of several classes leave a
            part without a class.

    >>> parts = grouped(np.array([0, 0, 0, 0]), np.array([7, 7, 8, 9]), {"train": 0.5, "test": 0.5})
    >>> {name: indices.tolist() for name, indices in parts.items()}
    {'train': [0, 1], 'test': [2, 3]}
    """
    names, members = np.unique(groups, return_inverse=True)
    counts = np.zeros((names.size, int(labels.max(initial=-1)) + 1), int)
    np.add.at(counts, (members, labels), 1)
    wanted = np.array(list(shares.values()))
    for attempt in range(_ATTEMPTS):
        order = np.random.default_rng([SEED, attempt]).permutation(names.size)
        owner, missing = _assign(counts, wanted, order)
        if missing is None:
            return {name: np.flatnonzero(owner[members] == number) for number, name in enumerate(shares)}
    assert missing is not None
    raise TooFewGroupsError(missing)


def _assign(counts: np.ndarray, shares: np.ndarray, order: np.ndarray) -> tuple[np.ndarray, int | None]:
    """Return the part of each group, and a class that a part has nothing of, if there is one.

    `counts` (groups, classes) says how many images of each class a group has; groups are taken in `order`.
    """
    wanted = np.outer(shares, counts.sum(0)).clip(1)  # (parts, classes) images that a part still lacks
    held = np.zeros(wanted.shape, bool)  # whether a part has any image of the class
    owner = np.full(len(counts), -1)
    for label in np.argsort((counts > 0).sum(0), kind="stable"):
        mine = order[(counts[order, label] > 0) & (owner[order] < 0)]
        mine = mine[np.argsort(-counts[mine].sum(1), kind="stable")]
        for position, group in enumerate(mine):
            lacking = np.flatnonzero(~held[:, label])
            candidates = lacking if len(mine) - position <= lacking.size else np.arange(len(shares))
            part = candidates[np.argmax(wanted[candidates, label])]
            owner[group] = part
            wanted[part] -= counts[group]
            held[part] |= counts[group] > 0
    missing = np.flatnonzero(~held.all(0) & (counts.sum(0) > 0))
    return owner, int(missing[0]) if missing.size else None
