"""Replicates: which configuration is trained again, with a fresh seed, so that a study is surer of its front."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from results.analysis import fronts, membership
from search_spaces import Point
from study.search.encoding import Key, identity
from study.store.request import Request
from study_common.layout import Result

FIRST_SEED = 1000
"""How far above the seed of the study those of replicates begin: `study.confirm` takes the ones between."""


class Replicates:
    """The draws of every configuration of one study, and which of them is worth another one.

    The k-th replicates of all configurations have the same seed, so that their differences are paired.
    """

    def __init__(self, request: Request) -> None:
        self.began = 0
        """How many replicates have begun."""
        self._request = request
        self._directions = fronts.directions_of(request.objectives)
        self._draws: dict[Key, int] = {}
        self._points: dict[int, Point] = {}
        self._rows: list[dict[str, Any]] = []

    @property
    def left(self) -> int:
        """How many are to come."""
        return max(0, self._request.replicates - self.began)

    def start(self, point: Point, known: Result) -> None:
        """Learn that a trial begins."""
        self.began += self._request.is_replicate(known)
        if not self._request.replicates:
            return
        key = identity(point)
        self._draws[key] = self._draws.get(key, 0) + 1

    def complete(self, number: int, point: Point, known: Result) -> None:
        """Learn what a complete trial measured after its last epoch."""
        if not self._request.replicates:
            return
        self._points[number] = point
        head = {"number": number, "seed": known["seed"], "state": "complete", "feasible": True}
        self._rows.append({**head, **_prefixed("params", point), **_prefixed("metrics", known["metrics"])})

    def next(self) -> tuple[dict[str, Any], int] | None:
        """Return the configuration that needs another draw most, and a fresh seed; None if no more are wanted.

        A draw more lowers the variance of a mean over n draws by 1 / (n (n + 1)) of one seed's; what this is worth
        goes with the variance of membership, p (1 - p). Where no noise is known, the members of the front take turns.
        """
        if not (self._rows and self.left):
            return None
        known = membership.configurations(pd.DataFrame(self._rows), self._directions)
        if known["p_front"].isna().all():
            known = fronts.pareto_front(known, self._directions)
        known = known[known["p_front"] != 0]
        if known.empty:
            return None
        points = [self._points[number] for number in known["number"]]
        draws = [self._draws[identity(point)] for point in points]
        p = known["p_front"].fillna(0.5).to_numpy(float)

        def order(i: int) -> tuple[float, int, float]:
            return -p[i] * (1 - p[i]) / (draws[i] * (draws[i] + 1)), draws[i], -p[i]

        chosen = min(range(len(points)), key=order)
        return dict(points[chosen]), (self._request.seed + FIRST_SEED + draws[chosen]) % 2**31


def _prefixed(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{name}": value for name, value in values.items()}
