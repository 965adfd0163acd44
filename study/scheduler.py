"""Schedulers: which trials go on at a rung, as Ray Tune's `TrialScheduler`."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from results import Objective
from results.record import RESULT
from study import objectives
from study.ranking import best
from study.record import Record
from study.request import Request

FEW = 3
"""At least so many of a rung go on: of two or three no share tells good from bad, and a short study needs a front."""


class Fifo(FIFOScheduler):
    """Every trial runs to its end."""

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Leave it to Tune, which starts pending trials in order; the parent looks through all trials for one."""
        return None


class ParetoAsha(Fifo):
    """Asynchronous successive halving over several objectives.

    A trial that reports at a rung goes on if it is among the best 1 / `reduction_factor` of all that have reported
    there, but at least the best `FEW` (Li et al., "A System for Massively Parallel Hyperparameter Tuning", MLSys 2020;
    the stopping variant). Best is by `ranking.best` over all objectives, the costs known before training among them;
    an objective that was not measured counts as worst. A rung is decided once: a trial that reports it again goes on.
    """

    def __init__(
        self,
        targets: Mapping[str, Objective],
        rungs: Iterable[int],
        reduction_factor: int,
        history: Iterable[tuple[int, int, Mapping[str, float]]] = (),
    ) -> None:
        """`history`: (trial, epoch, metrics) of what earlier drivers saw at the rungs."""
        super().__init__()
        self._targets = targets
        self._factor = reduction_factor
        self._rungs: dict[int, dict[int, tuple[float, ...]]] = {epoch: {} for epoch in sorted(rungs)[:-1]}
        for number, epoch, metrics in history:
            if epoch in self._rungs:
                self._rungs[epoch][number] = objectives.gains(targets, metrics)

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Decide on the `Report` of one epoch."""
        report, number = result["report"], trial.config["job"].number
        goes_on = report.error is not None or self.goes_on(number, report.epoch, report.metrics)
        return str(TrialScheduler.CONTINUE if goes_on else TrialScheduler.STOP)

    def goes_on(self, number: int, epoch: int, metrics: Mapping[str, float]) -> bool:
        """Take in what trial `number` measured after `epoch`, and tell whether it goes on."""
        rung = self._rungs.get(epoch)
        if rung is None or number in rung:
            return True
        rung[number] = objectives.gains(self._targets, metrics)
        k = min(len(rung), max(FEW, math.ceil(len(rung) / self._factor)))
        return len(rung) - 1 in best(np.array(list(rung.values())), k)


def make_scheduler(request: Request, record: Record) -> Fifo:
    """Return the scheduler that a study asks for, knowing what its record knows."""
    if request.scheduler == "fifo":
        return Fifo()
    history = [
        (trial.number, rung["epoch"], rung["metrics"])
        for trial in record.trials(request.epochs)
        for rung in trial.user_attrs[RESULT]["rungs"]
    ]
    return ParetoAsha(request.objectives, request.rungs, request.reduction_factor, history)
