"""The order of points under several objectives: non-dominated rank first, then spread."""

import moocore
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]


def best(gains: Points, k: int) -> NDArray[np.intp]:
    """Return the indices of the best `k` rows of `gains` (n, m), 1 <= k <= n, every column to be maximised.

    Whole layers of equal non-dominated rank come first; of the layer that does not fit whole, an `epsilon_net` is
    taken. What is no finite number is worse than any number. O(n^2 log n) for m = 3.

    >>> best(np.array([[1.0, 0.0], [0.0, 1.0], [0.9, 0.05], [0.0, 0.0]]), 2).tolist()
    [0, 1]
    """
    assert 1 <= k <= len(gains)
    finite = np.isfinite(gains)
    worst = gains[finite].min(initial=0.0) - 1.0  # not -inf, among which moocore tells no order
    points = np.where(finite, gains, worst)
    ranks = moocore.pareto_rank(points, maximise=True)
    last = np.sort(ranks)[k - 1]
    inner, edge = np.flatnonzero(ranks < last), np.flatnonzero(ranks == last)
    return np.concatenate([inner, edge[epsilon_net(points[edge], k - len(inner))]])


def epsilon_net(points: Points, k: int) -> NDArray[np.intp]:
    """Return the indices of `k` rows that spread over the finite `points` (n, m), 1 <= k <= n. O(k n).

    The row with the greatest sum comes first, then always the row farthest from all that were taken (Salinas et al.,
    "A multi-objective perspective on jointly tuning hardware and hyperparameters", 2021); ties go to the first row.

    >>> epsilon_net(np.array([[0.0, 1.0], [0.6, 0.5], [1.0, 0.0]]), 3).tolist()
    [1, 0, 2]
    """
    assert 1 <= k <= len(points)
    taken = [int(points.sum(axis=1).argmax())]
    distance = np.full(len(points), np.inf)
    while len(taken) < k:
        distance = np.minimum(distance, np.linalg.norm(points - points[taken[-1]], axis=1))
        distance[taken] = -1.0
        taken.append(int(distance.argmax()))
    return np.array(taken)
