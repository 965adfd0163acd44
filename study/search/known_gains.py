"""What is known of a configuration without training it: the gains of its costs, which are exact."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from search_spaces import Point
from study.search.feasible import FeasibleSpace
from study.store.request import Request
from study_common import objectives
from study_common.objectives import COSTS


class KnownGains:
    """The gains of configurations in the objectives of a study that are costs.

    Args:
        request: The study.
    """

    def __init__(self, request: Request) -> None:
        self._objectives = request.objectives
        self._costs = [name for name in request.objectives if name in COSTS]
        priced = replace(request, constraints=dict.fromkeys(self._costs, math.inf))
        self._space = FeasibleSpace(request.space, priced)

    def __call__(self, point: Point) -> NDArray[np.float64]:
        """Return the gain of `point` in each objective, (m,); NaN in those that a training measures."""
        costs = dict(zip(self._costs, self._space.costs(point), strict=True)) if self._costs else {}
        return np.array(objectives.gains(self._objectives, costs))
