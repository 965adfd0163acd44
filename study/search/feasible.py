"""The part of a space that keeps the constraints of a study: costs are known before training.

Samplers propose inside it, so that even a bound that leaves a millionth of a space costs no extra time.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Self

import numpy as np

import trainables
from search_spaces import Choice, Point, Space, is_width
from study.search.cost_table import Costs, CostTable
from study.search.encoding import Key
from study.store.request import Request


class FeasibleSpace:
    """The configurations of a space that keep every constraint."""

    def __init__(self, space: Space, request: Request | None = None) -> None:
        """Take the part of `space` that the constraints of `request` allow; all of it without a request."""
        self.space = space
        self.request = request
        """The request with the constraints; None if there are none."""
        self._tables: dict[Key, CostTable] = {}
        self._decisive = [name for name in space.parameters if self._is_decisive(name)]
        """Parameters that decide which widths exist (by a condition) or what widths cost; projection keeps them."""

    @classmethod
    def of(cls, request: Request) -> Self:
        """Return the part of a study's space that its constraints allow."""
        return cls(request.space, request if request.constraints else None)

    def __contains__(self, point: Point) -> bool:
        """Tell whether `point`, of the space or not, keeps every constraint."""
        if self.request is None:
            return True
        if self.space.points or point not in self.space:
            return self.request.is_feasible(point)
        return self._table(point).fits(point)

    def project(self, point: Mapping[str, Any], random: np.random.Generator) -> dict[str, Any] | None:
        """Return `point`, or, if it breaks a constraint, a copy with narrower widths that keeps all constraints.

        None if no widths keep them with the other values of `point`. `random` is used only if `point` changes.
        """
        if self.request is None:
            return dict(point)
        widths = self._table(point).project(point, random)
        return None if widths is None else {**point, **widths}

    def costs(self, point: Point) -> Costs:
        """Return the costs of a point of the space, those that have a constraint, in the order of the constraints."""
        return self._table(point).costs(point)

    def points(self) -> Iterator[dict[str, Any]]:
        """Yield every configuration of a finite space that keeps the constraints.

        Raises:
            UserError: The space is not finite.
        """
        if self.request is None or self.space.points:
            yield from (point for point in self.space.grid() if point in self)
            return
        self.space.check_finite()
        others = [n for n in self.space.parameters if n not in self._decisive and not is_width(n)]
        for decided in self.space.combinations(self._decisive):
            active = [n for n in self.space.parameters if is_width(n) and self.space.active(n, decided)]
            for widths in self._measure(decided, active).points():
                for found in self.space.combinations(others, {**decided, **widths}):
                    yield {name: found[name] for name in self.space.parameters if name in found}

    def up_to(self, limit: int) -> list[dict[str, Any]] | None:
        """Return all its configurations, or None if they are more than `limit`."""
        if self.space.size() is None:
            return None
        found = list(islice(self.points(), limit + 1))
        return found if len(found) <= limit else None

    def _table(self, point: Point) -> CostTable:
        decided = {name: point[name] for name in self._decisive if name in point}
        active = list(filter(is_width, point))
        key = frozenset([*decided.items(), *((name, None) for name in active)])
        if key not in self._tables:
            self._tables[key] = self._measure(decided, active)
        return self._tables[key]

    def _measure(self, decided: Point, active: Iterable[str]) -> CostTable:
        request = self.request
        assert request
        return CostTable.measure(
            lambda widths: request.config({**decided, **widths}),
            {name: [decided[name]] if name in decided else self._widths(name) for name in active},
            request.constraints,
        )

    def _is_decisive(self, name: str) -> bool:
        below = [n for n, domain in self.space.parameters.items() if name in (domain.when or {})]
        return any(is_width(n) or self._is_decisive(n) for n in below) or self._changes_costs(name)

    def _changes_costs(self, name: str) -> bool:
        """Tell whether the costs depend on this parameter, though it is not a width, as for the weight quantiser."""
        domain = self.space.parameters[name]
        if self.request is None or is_width(name) or not isinstance(domain, Choice):
            return False
        widths = {name: min(self._widths(name)) for name in filter(is_width, self.space.parameters)}
        costs = [trainables.costs(self.request.config({**widths, name: value})) for value in domain.values]
        return any(cost != costs[0] for cost in costs)

    def _widths(self, name: str) -> list[int]:
        values = self.space.parameters[name].finite() or ()
        return [int(value) for value in values]
