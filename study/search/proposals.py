"""Proposals: which configuration to try next.

The queue comes first, then the sampler. A proposal that breaks a constraint or was made before is rejected here and
never reaches the record.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from search_spaces import Domain, Float, Point
from study.search.encoding import Key, identity
from study.search.feasible import FeasibleSpace
from study.search.known_gains import KnownGains
from study.search.optuna_samplers import OptunaSampler
from study.search.sampler import Proposal, Sampler
from study.search.sms_ego import Known, SmsEgo
from study.store.request import Request
from study_common.errors import UserError, check_known

MAX_REJECTED = 500
"""Rejections in a row after which a finite space is listed, or the search of an infinite one ends; more than
`SmsEgo` compares at once."""
MAX_FILLED = 50
"""Ways in which what is missing of an enqueued point is filled in before it is left out."""
TRIALS_PER_RESUME = 6
"""The sampler may resume one paused trial for every six trials, which bounds the cost of a study of N trials."""


class Proposals:
    """The source of configurations of one study.

    `rejected` counts proposals that were not tried; `resumed_by_sampler` counts the paused trials that were resumed
    instead of starting a new one.
    """

    def __init__(self, space: FeasibleSpace, sampler: Sampler | None, queue: Iterable[Point] = ()) -> None:
        """Propose the points of `queue` first. Without a sampler the space is listed in order."""
        self.rejected = {"infeasible": 0, "repeat": 0}
        self.resumed_by_sampler = 0
        self._space = space
        self._sampler = sampler
        self._queue = list(queue)
        self._seen: set[Key] = set()
        self._listed = None if sampler else space.points()

    def next(self) -> dict[str, Any] | None:
        """Start and return a new feasible configuration, or that of a paused trial; None if no new one is left.

        A paused trial is returned if the sampler prefers it to a new one that exists.

        Raises:
            UserError: `MAX_REJECTED` proposals in a row were rejected, in an infinite space.
        """
        while self._queue:
            if self._is_new(point := self._queue.pop(0)):
                self.start(point)
                return dict(point)
        if self._sampler and self._listed is None:
            if found := self._proposed(self._sampler):
                self.resumed_by_sampler += found.is_paused
                self.start(found.point)
                return found.point
            if self._space.space.size() is None:
                raise UserError(
                    f"the last {MAX_REJECTED} proposals were infeasible or repeats; loosen --max-bops or --max-size"
                )
        self._listed = self._listed or self._space.points()
        for point in self._listed:
            if identity(point) not in self._seen:
                self.start(point)
                return point
        return None

    def _proposed(self, sampler: Sampler) -> Proposal | None:
        """Return a new proposal, or one of a paused trial that the sampler prefers to it."""
        preferred = None
        for _ in range(MAX_REJECTED):
            proposal = sampler.propose()
            if not proposal.is_paused and self._is_new(proposal.point):
                return preferred or proposal
            if proposal.is_paused and self.resumed_by_sampler < len(self._seen) // TRIALS_PER_RESUME:
                preferred = preferred or proposal
            sampler.reject(proposal)
        return None

    def fit(self, given: Point) -> dict[str, Any]:
        """Start and return a new feasible configuration with the values of `given`; the sampler fills in the others.

        Raises:
            UserError: There is none; the message says why.
        """
        domains = self._space.space.parameters
        values = {name: _member(name, value, domains) for name, value in given.items()} if domains else given
        for point in self._with(values):
            if point in self._space and identity(point) not in self._seen:
                self.start(point)
                return point
        raise UserError("no configuration with its values keeps the constraints and was not tried before")

    def _with(self, given: Point) -> Iterator[dict[str, Any]]:
        """Yield configurations that have the values of `given`."""
        space, wanted = self._space.space, given.items()
        if self._sampler is None:
            yield from (point for point in self._space.points() if wanted <= point.items())
            return
        for _ in range(MAX_FILLED):
            proposal = self._sampler.propose()
            self._sampler.reject(proposal)
            values = {**proposal.point, **given}
            point: dict[str, Any] = {}
            for name in space.parameters:
                if name in values and space.active(name, point):
                    point[name] = values[name]
            if point in space and wanted <= point.items():
                yield point

    def start(self, point: Point) -> None:
        """Learn that `point` starts or is resumed."""
        self._seen.add(identity(point))
        if sampler := self._sampler_of(point):
            sampler.start(point)

    def measure(
        self, point: Point, epoch: int, gains: Sequence[float], errors: Sequence[float] | None = None
    ) -> None:
        """Learn what `point` measured at a rung, and the standard errors of that if they are known."""
        if sampler := self._sampler_of(point):
            sampler.measure(point, epoch, np.array(gains), np.array(errors or [0.0] * len(gains)))

    def pause(self, point: Point) -> None:
        """Learn that `point` pauses."""
        if sampler := self._sampler_of(point):
            sampler.pause(point)

    def end(self, point: Point) -> None:
        """Learn that `point` has ended."""
        if sampler := self._sampler_of(point):
            sampler.end(point)

    def _sampler_of(self, point: Point) -> Sampler | None:
        """Return the sampler if `point` is in its space; the float corner may be outside."""
        return self._sampler if point in self._space.space else None

    def _is_new(self, point: Point) -> bool:
        """Tell whether `point` is feasible and was not proposed before; otherwise count the reason."""
        if identity(point) in self._seen:
            self.rejected["repeat"] += 1
            return False
        if point not in self._space:
            self.rejected["infeasible"] += 1
            return False
        return True


def _member(name: str, value: Any, domains: Mapping[str, Domain]) -> Any:
    """Return a value of the domain `name` as the space writes it."""
    check_known("parameter", [name], domains)
    domain = domains[name]
    if value not in domain:
        raise UserError(f"{name} = {value!r} is not in the space")
    return float(value) if isinstance(domain, Float) else value


def make_proposals(request: Request, tried: int = 0, queue: Iterable[Point] = ()) -> Proposals:
    """Return the proposals of a study with `tried` earlier trials, on which the seed depends: a resume draws others."""
    space = FeasibleSpace.of(request)
    seed = request.seed + tried
    known = None if request.space.points else KnownGains(request)
    sampler = make_sampler(request.sampler, space, len(request.objectives), seed, request.epochs, known)
    return Proposals(space, sampler, queue)


def make_sampler(
    name: str,
    space: FeasibleSpace,
    objectives: int,
    seed: int,
    epochs: int,
    known: Known | None = None,
) -> Sampler | None:
    """Return the sampler of this --sampler name; None for "grid", and for a space that lists its points.

    `known` gives what is known of a point without training it, to those that can use it.
    """
    if name == "grid" or space.space.points:
        return None
    if name == "sms_ego":
        return SmsEgo(space, objectives, seed, epochs, known)
    return OptunaSampler(space, name, objectives, seed, epochs)
