"""The searcher: between Ray Tune, which runs trials, and the record, which keeps them.

Each event is one method and a bounded number of transactions. A fault of the record never surfaces inside Tune:
`halted` says why the study has to stop, and whatever runs stays `running` for a resume.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher as TuneSearcher

from search_spaces import Point
from study.execution.open_trials import OpenTrial, OpenTrials, Status
from study.execution.progress import Progress, state_name
from study.execution.start_model import StartModel
from study.execution.tracking import Entry
from study.execution.worker import Job, Report
from study.search.encoding import identity
from study.search.proposals import make_proposals
from study.search.replicates import Replicates
from study.search.scheduler import make_scheduler
from study.store.record import FAULTS, Record, describe_fault, new_result, now, state_of
from study.store.request import Request
from study_common import objectives
from study_common.errors import UserError
from study_common.layout import (
    EXHAUSTED,
    LEFT_OUT,
    REJECTED,
    RESULT,
    RESUMED_BY_SAMPLER,
    TRIALS_DIR,
    Result,
    Rung,
    RunInterval,
)


class Searcher(TuneSearcher):
    """Proposes the trials that the record still lacks, and records truthfully how each one ended.

    A trial that the scheduler pauses at a rung has ended for Tune, but not for the study: when it is resumed, it is a
    new trial of Tune's that starts from its checkpoint, as after a resume of the study.
    """

    def __init__(
        self,
        request: Request,
        record: Record,
        directory: Path,
        token: str,
        start_model: StartModel | None = None,
        promising: Sequence[Point] = (),
        tell: Callable[[Entry], None] = lambda entry: None,
    ) -> None:
        """Continue the study where `record` stands.

        Args:
            request: The study.
            record: Its record, held by this driver.
            directory: Directory of the study.
            token: Token of this driver's lease.
            start_model: The model that all trials start from, if there is one.
            promising: Configurations that are tried after those of the queue, before the sampler proposes.
            tell: Takes what becomes of each trial, for the tool of --log.
        """
        super().__init__()
        self.halted = ""
        self.notices: list[str] = []
        """Messages for the user; the reader removes each one that it shows."""
        self.progress = Progress(request)
        self.scheduler = make_scheduler(request)
        """The scheduler to pass to Tune together with this searcher."""
        self._request = request
        self._record = record
        self._directory = directory.absolute()  # workers of a Ray that we joined are elsewhere
        self._token = token
        self._start_model = start_model
        self._tell = tell
        self._open = OpenTrials()
        self._replicates = Replicates(request)
        self._foreign: list[FrozenTrial] = []
        earlier = record.trials(request.epochs)
        self._proposed = len(earlier)
        tried = {identity(trial.params) for trial in earlier}
        queue = [point for point in (*request.queue, *promising) if identity(point) not in tried]
        self._proposals = make_proposals(request, len(earlier), queue)
        attributes = record.attributes()
        self._proposals.rejected |= attributes.get(REJECTED, {})
        self.progress.rejected = self._proposals.rejected
        self._proposals.resumed_by_sampler = attributes.get(RESUMED_BY_SAMPLER, 0)
        for trial in earlier:
            self._replay(trial)
        self._stop_surplus(max(0, request.trials - len(earlier) + len(self._open)))

    def _replay(self, trial: FrozenTrial) -> None:
        """Tell sampler, scheduler and progress of a trial of an earlier driver."""
        known: Result = trial.user_attrs[RESULT]
        paused = trial.state == TrialState.WAITING
        self.progress.add_recorded(trial.state, known)
        self._replicates.start(trial.params, known)
        if trial.state == TrialState.COMPLETE:
            self._replicates.complete(trial.number, trial.params, known)
        if self._request.is_replicate(known):
            self.scheduler.exempt(trial.number)
        else:
            self._replay_search(trial, known, paused)
        if not trial.state.is_finished():
            status = Status.PAUSED if paused else Status.INTERRUPTED
            self._open.add(OpenTrial(number=trial.number, point=trial.params, known=known, status=status))

    def _replay_search(self, trial: FrozenTrial, known: Result, paused: bool) -> None:
        self._proposals.start(trial.params)
        for rung in known["rungs"]:
            self._measure(trial.params, rung)
            waits = paused and rung["epoch"] == known["epochs"]
            self.scheduler.reached(trial.number, rung["epoch"], rung["metrics"], waits)
        if trial.state in (TrialState.PRUNED, TrialState.FAIL):
            self.scheduler.ended_early(trial.number)
        if paused:
            self._proposals.pause(trial.params)
        elif trial.state != TrialState.RUNNING:
            self._proposals.end(trial.params)

    def _stop_surplus(self, wanted: int) -> None:
        """End all open trials but the best `wanted`, because the total was reduced."""
        interrupted = self._open.interrupted
        surplus = [trial.number for trial in interrupted[wanted:]]
        for number in surplus + self.scheduler.beyond(max(0, wanted - len(interrupted))):
            self._stop(self._open.numbered(number))

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED, or None: later
        """Return the job of the next trial.

        First come those that were interrupted, then paused ones that are good enough to be resumed. Then it is the
        sampler's turn, which may prefer to resume a paused one. Replicates come last.
        """
        try:
            if not self.halted:
                return self._next(trial_id)
        except UserError as error:
            self.halted = str(error)
        except FAULTS as error:
            self.halted = describe_fault(error)
        return str(self.FINISHED)

    def _next(self, trial_id: str) -> dict[str, Any] | str | None:
        if interrupted := self._open.interrupted:
            return self._job(trial_id, interrupted[0])
        if (number := self.scheduler.next_to_resume()) is not None:
            trial = self._open.numbered(number)
            self._proposals.start(trial.point)
            return self._resume(trial_id, trial)
        if not self.scheduler.all_began:
            if self._left > self._replicates.left and (job := self._start_enqueued(trial_id)):
                return job
            if self._left > self._replicates.left and (point := self._proposal()):
                paused = self._open.of(point, self._request.seed)
                if paused is None or paused.status != Status.PAUSED:
                    return self._start(trial_id, point)
                self.scheduler.resumed_by_sampler(paused.number)
                return self._resume(trial_id, paused)
            self.scheduler.all_began = True
            return self._next(trial_id)
        if self._left and (replicate := self._replicates.next()):
            return self._start(trial_id, *replicate)
        if self._open.running:
            return None
        for trial in self._open.paused:
            self._stop(trial)
        return str(self.FINISHED)

    @property
    def _left(self) -> int:
        """How many trials may still begin."""
        return self._request.trials - self._proposed

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the report of a trial that continues."""
        trial = self._open.named(trial_id)
        if self._add_report(trial, result["report"]):
            self._write(lambda: self._record.update(trial.number, trial.known))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Keep the last report of a trial, or the one at which the scheduler paused it."""
        if error or result is None:
            return  # `lost` follows, and knows why
        report: Report = result["report"]
        if report.halts:
            self.halted = self.halted or str(report.error)
            return
        trial = self._open.named(trial_id)
        self._add_report(trial, report)
        if report.last or report.error is not None:
            self._end(trial, report.error)
        else:
            self._pause(trial)

    def requeue(self, trial_id: str) -> None:
        """Let a trial that Tune ended too early continue as another one of Tune's, as after a resume."""
        self._open.rest(self._open.named(trial_id), Status.INTERRUPTED)

    def lost(self, trial_id: str, reason: str) -> None:
        """Fail a trial whose workers died too often."""
        self._end(self._open.named(trial_id), reason)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the record is the state, and Tune's copy of it is never read."""

    def _proposal(self) -> dict[str, Any] | None:
        rejected, resumed = dict(self._proposals.rejected), self._proposals.resumed_by_sampler
        point = self._proposals.next()
        if rejected != self._proposals.rejected:
            self._record.set_attribute(REJECTED, self._proposals.rejected)
        if resumed != self._proposals.resumed_by_sampler:
            self._record.set_attribute(RESUMED_BY_SAMPLER, self._proposals.resumed_by_sampler)
        self.progress.rejected = self._proposals.rejected
        if point is None:
            self._record.set_attribute(EXHAUSTED, True)
            self.progress.expect_no_more(min(self._replicates.left, self._left))
        return point

    def _start_enqueued(self, trial_id: str) -> dict[str, Any] | None:
        """Return the job of the next point that another program enqueued; None if there is none that fits."""
        self._foreign += self._record.foreign()
        while self._foreign:
            row = self._foreign.pop(0)
            if LEFT_OUT in row.user_attrs:
                continue
            if row.state != TrialState.WAITING:
                self.notices.append(f"trial {row.number} of the record is another program's and is left out")
                continue
            try:
                point = self._proposals.fit(row.params | row.system_attrs.get("fixed_params", {}))
            except UserError as error:
                self._record.leave_out(row, str(error))
                self.notices.append(f"the enqueued trial {row.number} is left out: {error}")
                continue
            known = new_result(self._request.seed)
            if self._record.adopt(row, point, self._request.distributions(), known):
                return self._begin(trial_id, row.number, point, known)
            self._proposals.end(point)
        return None

    def _start(self, trial_id: str, point: dict[str, Any], seed: int | None = None) -> dict[str, Any]:
        known = new_result(self._request.seed if seed is None else seed)
        assert self._open.of(point, known["seed"]) is None, "a configuration is tried once with a seed"
        number = self._record.add(point, self._request.distributions(), known)
        return self._begin(trial_id, number, point, known)

    def _begin(self, trial_id: str, number: int, point: dict[str, Any], known: Result) -> dict[str, Any]:
        self._proposed += 1
        self.progress.add_new()
        self._replicates.start(point, known)
        if self._request.is_replicate(known):
            self.scheduler.exempt(number)
        trial = OpenTrial(number=number, point=point, known=known, status=Status.INTERRUPTED)
        self._open.add(trial)
        return self._job(trial_id, trial)

    def _pause(self, trial: OpenTrial) -> None:
        if self._write(lambda: self._record.pause(trial.number, trial.known)):
            self._open.rest(trial, Status.PAUSED)
            self._tell(_entry(trial, TrialState.WAITING))
            self.progress.change_state(TrialState.RUNNING, TrialState.WAITING, trial.known)
            self._proposals.pause(trial.point)

    def _resume(self, trial_id: str, trial: OpenTrial) -> dict[str, Any]:
        self._record.resume(trial.number)
        self.progress.change_state(TrialState.WAITING, TrialState.RUNNING, trial.known)
        return self._job(trial_id, trial)

    def _job(self, trial_id: str, trial: OpenTrial) -> dict[str, Any]:
        self._open.run(trial, trial_id)
        trial.known["intervals"].append(RunInterval(worker="", started=now(), ended=None))
        self._tell(_entry(trial, TrialState.RUNNING))
        start = self._start_model
        flat = self._request.flat(trial.point) | {"seed": trial.known["seed"]}
        return {
            "job": Job(
                number=trial.number,
                flat=flat | (start.settings if start else {}),
                directory=self._directory / TRIALS_DIR / str(trial.number),
                study=self._directory,
                token=self._token,
                recorded=trial.known["epochs"],
                data=self._request.fingerprint,
                inputs=self._request.inputs,
                weights=start.weights if start else "",
            )
        }

    def _add_report(self, trial: OpenTrial, report: Report) -> bool:
        """Add a report to what is known of a trial, once; tell whether it was that of a rung."""
        known = trial.known
        if report.notice:
            self.notices.append(report.notice)
        interval = known["intervals"][-1]
        ended = max(now(), interval["started"])  # clocks may be set back
        interval |= {"worker": report.worker, "ended": ended}
        if report.error is not None or report.epoch <= known["epochs"]:
            return False
        known["epochs"] = report.epoch
        known["duration_s"] += report.seconds
        self.progress.add_epoch(report.is_new)
        self._tell(_entry(trial, TrialState.RUNNING, report.metrics))
        if report.epoch not in self._request.rungs:
            return False
        rung = Rung(epoch=report.epoch, seconds=report.seconds, metrics=report.metrics)
        known["metrics"] = report.metrics
        known["rungs"].append(rung)
        if not self._request.is_replicate(known):
            self._measure(trial.point, rung)
        return True

    def _measure(self, point: Mapping[str, Any], rung: Rung) -> None:
        gains, errors = (
            of(self._request.objectives, rung["metrics"]) for of in (objectives.gains, objectives.errors)
        )
        self._proposals.measure(point, rung["epoch"], gains, errors)

    def _end(self, trial: OpenTrial, error: str | None) -> None:
        known = trial.known
        complete = state_of(known, self._request.epochs) == TrialState.COMPLETE
        if complete and not objectives.are_finite(self._request.objectives, known["metrics"]):
            values = {name: known["metrics"].get(name) for name in self._request.objectives}
            bad = [f"{name} is {x}" for name, x in values.items() if x is None or not math.isfinite(x)]
            error = error or f"{', '.join(bad)}, which is not a finite number"
        known["error"], known["finished"] = error, max(now(), known["started"])
        if error is not None:
            self.scheduler.ended_early(trial.number)
        self._finish(trial, TrialState.RUNNING)

    def _stop(self, trial: OpenTrial) -> None:
        """End a trial that will not be resumed; its finish time is the end of its last run interval."""
        self.scheduler.ended_early(trial.number)
        known = trial.known
        ran = [interval["ended"] for interval in known["intervals"] if interval["ended"]]
        known["finished"] = ran[-1] if ran else known["started"]
        self._finish(trial, TrialState.WAITING if trial.status == Status.PAUSED else TrialState.RUNNING)

    def _finish(self, trial: OpenTrial, before: TrialState) -> None:
        state = state_of(trial.known, self._request.epochs)
        if self._write(lambda: self._record.finish(trial.number, state, trial.known)):
            self._open.remove(trial)
            self._tell(_entry(trial, state))
            self.progress.change_state(before, state, trial.known)
            if state == TrialState.COMPLETE:
                self._replicates.complete(trial.number, trial.point, trial.known)
            # The sampler already knows of a paused trial, and need not know of a replicate.
            if before == TrialState.RUNNING and not self._request.is_replicate(trial.known):
                self._proposals.end(trial.point)

    def _write(self, write: Callable[[], None]) -> bool:
        """Write to the record; False, with the reason in `halted`, if that is not possible."""
        try:
            if not self.halted:
                write()
        except FAULTS as error:
            self.halted = describe_fault(error)
        return not self.halted


def _entry(trial: OpenTrial, state: TrialState, metrics: Mapping[str, float] | None = None) -> Entry:
    known = trial.known
    return Entry(
        number=trial.number,
        values={**trial.point, "seed": known["seed"]},
        state=state_name(state),
        epoch=known["epochs"],
        metrics=metrics or {},
        error=known["error"] or "",
    )
