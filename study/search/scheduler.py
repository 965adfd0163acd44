"""Schedulers: which trials continue at a rung, as Ray Tune's `TrialScheduler`."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from study.search.layers import Layers
from study.search.ranking import best
from study.store.request import Request
from study_common import objectives
from study_common.objectives import Objective

MIN_RESUMED = 3
"""Once no more trials begin, at least this many trials of a rung continue, so that a short study has a front."""


class Scheduler(FIFOScheduler, ABC):
    """Decides at each rung whether a trial continues, pauses there, or is resumed.

    For Ray Tune a trial that pauses has ended. Tune calls `on_trial_result`; the searcher starts what `next_to_resume`
    returns as a new trial of Tune.
    """

    all_began = False
    """No more trials will begin but replicates; the searcher says so."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Leave it to Tune, which starts pending trials in order; the parent looks through all trials for one."""
        return None

    @abstractmethod
    def exempt(self, number: int) -> None:
        """Learn that trial `number` pauses at no rung and counts at none: a replicate."""

    @abstractmethod
    def reached(self, number: int, epoch: int, metrics: Mapping[str, float], paused: bool = False) -> None:
        """Learn of a rung of an earlier driver.

        Args:
            number: Number of the trial.
            epoch: The rung: the epoch after which it was measured.
            metrics: What it measured.
            paused: Whether it is paused there now.
        """

    @abstractmethod
    def ended_early(self, number: int) -> None:
        """Learn that trial `number` ended before its last epoch, whether it was paused, ran or failed."""

    @abstractmethod
    def next_to_resume(self) -> int | None:
        """Return the number of a paused trial to resume now, and count it as running; None if there is none."""

    @abstractmethod
    def resumed_by_sampler(self, number: int) -> None:
        """Learn that the paused trial `number` is resumed because the sampler prefers it to a new one."""

    @abstractmethod
    def beyond(self, count: int) -> list[int]:
        """Return the numbers of all paused trials but the best `count`, ascending."""


class Fifo(Scheduler):
    """Every trial runs to its end: none pauses."""

    def exempt(self, number: int) -> None:
        """Do nothing."""

    def reached(self, number: int, epoch: int, metrics: Mapping[str, float], paused: bool = False) -> None:
        """Do nothing."""

    def ended_early(self, number: int) -> None:
        """Do nothing."""

    def next_to_resume(self) -> int | None:
        """Return None: no trial is paused."""
        return None

    def resumed_by_sampler(self, number: int) -> None:
        """Do nothing."""

    def beyond(self, count: int) -> list[int]:
        """Return nothing: no trial is paused."""
        return []


class ParetoAsha(Scheduler):
    """Asynchronous successive halving over several objectives.

    A trial pauses at each rung and continues as soon as it is among the best 1 / `reduction_factor` of all that have
    reached it: at once, or when others have come and shown it to be good (Li et al., "A System for Massively Parallel
    Hyperparameter Tuning", MLSys 2020, Algorithm 2). Of those that may continue, the one at the highest rung does. Best
    is by `ranking.best` over all objectives, the costs known before training among them; an objective that was not
    measured counts as worst.
    """

    def __init__(self, targets: Mapping[str, Objective], rungs: Iterable[int], reduction_factor: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._targets = targets
        self._factor = reduction_factor
        self._rungs = {epoch: _Rung() for epoch in sorted(rungs, reverse=True)[1:]}
        self._exempt: set[int] = set()

    def exempt(self, number: int) -> None:
        """Let the trial pass every rung."""
        self._exempt.add(number)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether a trial continues after the `Report` of one epoch, or pauses, which Tune sees as its end."""
        report, number = result["report"], trial.config["job"].number
        if report.error is not None or report.epoch not in self._rungs or number in self._exempt:
            return str(TrialScheduler.CONTINUE)
        rung = self._rungs[report.epoch]
        if number in rung.gains:  # decided before its worker died
            return str(TrialScheduler.CONTINUE)
        self.reached(number, report.epoch, report.metrics, paused=True)
        if self._next() != (rung, number):
            return str(TrialScheduler.STOP)
        rung.go_on(number)
        return str(TrialScheduler.CONTINUE)

    def reached(self, number: int, epoch: int, metrics: Mapping[str, float], paused: bool = False) -> None:
        """Add the trial to its rung; the last epoch is not a rung here."""
        if epoch not in self._rungs:
            return
        self._rungs[epoch].add(number, objectives.gains(self._targets, metrics), paused)

    def ended_early(self, number: int) -> None:
        """Count the trial as one that reached its rung, but give its place among the best to another.

        If a trial diverges after it has continued, another trial of the rung continues instead.
        """
        for rung in self._rungs.values():
            if number in rung.gains:
                rung.end(number)
                return

    def next_to_resume(self) -> int | None:
        """Return the best paused trial of the highest rung that has one among its best."""
        found = self._next()
        if found is None:
            return None
        rung, number = found
        rung.go_on(number)
        return number

    def resumed_by_sampler(self, number: int) -> None:
        """Count the trial among those that run."""
        for rung in self._rungs.values():
            if number in rung.paused:
                rung.go_on(number)

    def beyond(self, count: int) -> list[int]:
        """Return the paused trials but the best `count`; those at a higher rung are better."""
        left: list[int] = []
        for rung in self._rungs.values():
            kept = rung.best(count, rung.paused)
            count -= len(kept)
            left += rung.paused.difference(kept)
        return sorted(left)

    def _next(self) -> tuple["_Rung", int] | None:
        for rung in self._rungs.values():
            if rung.paused:
                number = rung.first_paused(continuing(rung.reached, self._factor, self.all_began))
                if number is not None:
                    return rung, number
        return None


class _Rung:
    """The trials that have reached an epoch: what they measured, and which are paused there."""

    def __init__(self) -> None:
        self.gains: dict[int, tuple[float, ...]] = {}
        """The gains of the trials that are paused there or have continued, by number."""
        self.paused: set[int] = set()
        self._ended_early = 0
        self._layers: Layers | None = None
        """Those of all trials, from the first time that they are asked for."""

    @property
    def reached(self) -> int:
        """How many trials have reached it."""
        return len(self.gains) + self._ended_early

    def add(self, number: int, gains: tuple[float, ...], paused: bool) -> None:
        """Add a trial that reaches it."""
        self.gains[number] = gains
        if paused:
            self.paused.add(number)
        if self._layers is not None:
            self._layers.add(number, gains)
            if paused:
                self._layers.wait(number)

    def go_on(self, number: int) -> None:
        """Let a paused trial continue."""
        self.paused.remove(number)
        if self._layers is not None:
            self._layers.go_on(number)

    def end(self, number: int) -> None:
        """Give the place of a trial that ended early to another."""
        self.paused.discard(number)
        del self.gains[number]
        self._ended_early += 1
        if self._layers is not None:
            self._layers.remove(number)

    def first_paused(self, count: int) -> int | None:
        """Return the first paused trial among the best `count`."""
        if self._layers is None:
            self._layers = Layers(self.gains, self.paused)
        return self._layers.first_waiting(count)

    def best(self, count: int, among: Collection[int]) -> list[int]:
        """Return the best `count` of the trials `among`, or all if they are fewer."""
        if not count or not among:
            return []
        numbers = sorted(among)
        chosen = best(np.array([self.gains[number] for number in numbers]), min(count, len(numbers)))
        return [numbers[i] for i in chosen]


def make_scheduler(request: Request) -> Scheduler:
    """Return the scheduler that a study asks for."""
    if request.scheduler == "fifo":
        return Fifo()  # type: ignore[no-untyped-call]
    return ParetoAsha(request.objectives, request.rungs, request.reduction_factor)


def continuing(reached: int, reduction_factor: int, all_began: bool) -> int:
    """Return how many of the trials that have reached a rung continue.

    >>> continuing(6, 3, all_began=False), continuing(2, 3, all_began=False), continuing(6, 3, all_began=True)
    (2, 0, 3)
    """
    return max(reached // reduction_factor, min(MIN_RESUMED, reached) if all_began else 0)


def expected_epochs(request: Request) -> int:
    """Return the expected epochs of all trials: at each rung `pareto_asha` continues its share, fifo all.

    The true number may be higher: the best of a rung change as trials arrive, and the sampler may resume trials.
    """
    if request.scheduler == "fifo":
        return request.attainable * request.epochs
    trials = request.attainable - request.replicates
    total, earlier = request.replicates * request.epochs, 0
    for epoch in request.rungs:
        total += trials * (epoch - earlier)
        earlier, trials = epoch, continuing(trials, request.reduction_factor, all_began=True)
    return total
