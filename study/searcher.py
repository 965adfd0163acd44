"""The searcher: between Ray Tune, which runs trials, and the record, which keeps them.

Each event is one method and a bounded number of transactions. A fault of the record never surfaces inside Tune:
`halted` says why the study has to stop, and whatever runs stays `running` for a resume.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher as TuneSearcher

import trainables
from results.record import REFUSED, RESULT, TRIALS_DIR, Result, Rung
from study import objectives
from study.progress import Progress
from study.record import FAULTS, Record, state_of, why
from study.request import Request
from study.sampling import Proposals, make_sampler
from study.worker import Job, Report


class Searcher(TuneSearcher):
    """Proposes the trials that the record still lacks, and tells it truthfully how each one ended."""

    def __init__(
        self,
        request: Request,
        record: Record,
        directory: Path,
        token: str,
        extra: dict[str, Any],
    ) -> None:
        """Take up the study where `record` stands; `token` is the lease's, `extra` goes into every configuration."""
        super().__init__()
        self.halted = ""
        self.progress = Progress(request.objectives, request.trials)
        self._request = request
        self._record = record
        self._directory = directory
        self._token = token
        self._extra = extra
        self._trials: dict[str, tuple[int, dict[str, Any], Result]] = {}
        earlier = record.trials(request.epochs)
        self._asked = len(earlier)
        running = [trial for trial in earlier if trial.state == TrialState.RUNNING]
        wanted = max(0, request.trials - len(earlier) + len(running))
        self._interrupted, surplus = running[:wanted], running[wanted:]
        seed = request.seed + len(earlier)  # a resume must not propose what the launch did
        sampler = make_sampler(request.sampler, request.space, len(request.objectives), seed, request.epochs)
        tried = [trial.params for trial in earlier]
        queue = [point for point in request.queue if point not in tried]
        self._proposals = Proposals(request.space, sampler, queue, self._violated)
        self._proposals.refused |= record.notes().get(REFUSED, {})
        for trial in earlier:
            known: Result = trial.user_attrs[RESULT]
            self.progress.learned(trial.state, known["metrics"])
            self._proposals.start(trial.params)
            for rung in known["rungs"]:
                self._measure(trial.params, rung)
            if trial.state != TrialState.RUNNING:
                self._proposals.end(trial.params)
        for trial in surplus:  # the study is to have fewer trials than it was: these end where they are
            self._trials[_SURPLUS] = (trial.number, trial.params, trial.user_attrs[RESULT])
            self._end(_SURPLUS, error=None)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]  # or FINISHED
        """Return the job of the next trial: first those that were interrupted, then new ones."""
        try:
            if self._interrupted and not self.halted:
                return self._continue(trial_id, self._interrupted.pop(0))
            if self._asked < self._request.trials and not self.halted:
                return self._start(trial_id)
        except (ValueError, *FAULTS) as error:
            self.halted = why(error)
        return str(self.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the report of a trial that goes on."""
        if self._take(trial_id, result["report"]):
            number, _, known = self._trials[trial_id]
            self._write(lambda: self._record.update(number, known))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Keep the report of a trial that ended: its last, or the one at which the scheduler stopped it."""
        if error or result is None:
            return  # `lost` follows, and knows why
        report: Report = result["report"]
        if report.no_space:
            self.halted = self.halted or f"the disk is full ({report.error})"
            return
        self._take(trial_id, report)
        self._end(trial_id, report.error)

    def lost(self, trial_id: str, reason: str) -> None:
        """Give up a trial whose workers died again and again."""
        self._end(trial_id, reason)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the record is the state, and Tune's copy of it is never read."""

    def _continue(self, trial_id: str, trial: FrozenTrial) -> dict[str, Any]:
        self._trials[trial_id] = (trial.number, trial.params, trial.user_attrs[RESULT])
        return self._job(trial_id)

    def _start(self, trial_id: str) -> dict[str, Any] | str:
        refused = dict(self._proposals.refused)
        point = self._proposals.next()
        if refused != self._proposals.refused:
            self._record.note(REFUSED, self._proposals.refused)
        self.progress.refused = self._proposals.refused
        if point is None:
            return str(self.FINISHED)
        known = _new_result(self._request.seed)
        number = self._record.add(point, self._request.distributions(), known)
        self._asked += 1
        self._trials[trial_id] = (number, point, known)
        self.progress.started()
        return self._job(trial_id)

    def _job(self, trial_id: str) -> dict[str, Any]:
        number, point, known = self._trials[trial_id]
        return {
            "job": Job(
                number=number,
                flat=self._request.flat(point) | self._extra,
                directory=self._directory / TRIALS_DIR / str(number),
                study=self._directory,
                token=self._token,
                recorded=known["epochs"],
            )
        }

    def _take(self, trial_id: str, report: Report) -> bool:
        """Add a report to what is known of a trial, once; tell whether it was that of a rung."""
        _, point, known = self._trials[trial_id]
        known["worker"] = report.worker
        if report.error is not None or report.epoch <= known["epochs"]:
            return False
        known["epochs"] = report.epoch
        known["duration_s"] += report.seconds
        self.progress.epochs += 1
        if report.epoch not in self._request.rungs:
            return False
        rung = Rung(epoch=report.epoch, seconds=report.seconds, metrics=report.metrics)
        known["metrics"] = report.metrics
        known["rungs"].append(rung)
        self._measure(point, rung)
        return True

    def _measure(self, point: Mapping[str, Any], rung: Rung) -> None:
        self._proposals.measure(
            point, rung["epoch"], objectives.gains(self._request.objectives, rung["metrics"])
        )

    def _end(self, trial_id: str, error: str | None) -> None:
        number, point, known = self._trials[trial_id]
        complete = state_of(known, self._request.epochs) == TrialState.COMPLETE
        if complete and not objectives.are_finite(self._request.objectives, known["metrics"]):
            error = error or f"an objective is not a finite number: {known['metrics']}"
        known["error"], known["finished"] = error, _now()
        state = state_of(known, self._request.epochs)
        if self._write(lambda: self._record.finish(number, state, known)):
            del self._trials[trial_id]
            self.progress.ended(state, known["metrics"])
            self._proposals.end(point)

    def _violated(self, point: Mapping[str, Any]) -> Mapping[str, float]:
        if not self._request.constraints:
            return {}
        return objectives.violated(self._request.constraints, trainables.costs(self._request.config(point)))

    def _write(self, write: Callable[[], None]) -> bool:
        """Write to the record; False, with the reason in `halted`, if that is not possible."""
        try:
            if not self.halted:
                write()
        except FAULTS as error:
            self.halted = why(error)
        return not self.halted


_SURPLUS = "surplus"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _new_result(seed: int) -> Result:
    return Result(
        seed=seed,
        epochs=0,
        duration_s=0.0,
        metrics={},
        rungs=[],
        error=None,
        worker="",
        started=_now(),
        finished=None,
    )
