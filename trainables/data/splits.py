"""Stratified splits that are the same on every machine and for every trial."""

import numpy as np
import numpy.typing as npt

SEED = 0
"""The seed of every split: it is part of what a data set is, never of a trial."""


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
