"""Points under several objectives: their order, by rank and exclusive hypervolume, and what one adds to a front."""

import moocore
import numpy as np
from numpy.typing import NDArray

from results.analysis.fronts import volume

Points = NDArray[np.float64]
EXACT_UP_TO = 4
"""Objectives up to which exclusive hypervolumes are; at five, those of 1,000 points would take a second."""


def best(gains: Points, k: int) -> NDArray[np.intp]:
    """Return the indices of the best `k` rows of `gains` (n, m), 1 <= k <= n, every column to be maximised.

    Complete layers of equal non-dominated rank come first; of the layer that does not fit, those that add most to its
    hypervolume (the selection of SMS-EMOA: Beume, Naujoks and Emmerich, EJOR 2007); ties go to the first row. An
    objective in which all of that layer are equal is left out: at 0 it would make every volume 0. What is not a finite
    number is worse than any number. O(n^2 log n) for m = 3.

    >>> best(np.array([[1.0, 0.1], [0.1, 1.0], [0.95, 0.11], [0.0, 0.0]]), 2).tolist()
    [1, 2]
    """
    assert 1 <= k <= len(gains)
    finite = np.isfinite(gains)
    worst = gains[finite].min(initial=0.0) - 1.0  # not -inf, among which moocore tells no order
    points = np.where(finite, gains, worst)
    ranks = moocore.pareto_rank(points, maximise=True)
    last = np.sort(ranks)[k - 1]
    inner, edge = np.flatnonzero(ranks < last), np.flatnonzero(ranks == last)
    layer = points[edge]
    layer = layer[:, np.ptp(layer, axis=0) > 0]
    volumes = exclusive_hypervolumes(layer) if layer.size else np.zeros(len(layer))
    order = np.argsort(-volumes, kind="stable")
    return np.concatenate([inner, edge[order[: k - len(inner)]]])


def exclusive_hypervolumes(points: Points) -> Points:
    """Return the hypervolume that each of the finite `points` (n, m) dominates alone, (n,); of equal rows the first.

    It is measured from 0, or where points are below that from the worst of them. With more objectives than
    `EXACT_UP_TO` it is the full hypervolume of each.

    >>> exclusive_hypervolumes(np.array([[1.0, 0.5], [0.5, 1.0], [1.0, 0.5]])).tolist()
    [0.25, 0.25, 0.0]
    """
    above = points - np.minimum(points.min(axis=0), 0.0)
    if points.shape[1] > EXACT_UP_TO:
        return np.asarray(above.prod(axis=1))
    different, first = np.unique(above, axis=0, return_index=True)
    alone = np.zeros(len(points))
    alone[first] = moocore.hv_contributions(different, ref=0.0, maximise=True)
    return alone


def hypervolume_improvements(points: Points, front: Points) -> Points:
    """Return by how much each of `points` (n, m) would enlarge the hypervolume of `front` (k, m) above 0, (n,).

    That is the box below the point without what the front dominates of it: of a long front few matter there, so it is
    much faster than the difference of two hypervolumes.

    >>> hypervolume_improvements(np.array([[0.5, 1.0], [0.5, 0.5]]), np.array([[1.0, 0.5]])).tolist()
    [0.25, 0.0]
    """
    below = (moocore.filter_dominated(np.minimum(front, point), maximise=True) for point in points)
    return np.array(
        [volume(1 - point[None]) - volume(1 - left) for point, left in zip(points, below, strict=True)]
    )
