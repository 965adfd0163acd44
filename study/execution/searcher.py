"""The searcher: between Ray Tune, which runs trials, and the record, which keeps them.

Each event is one method and a bounded number of transactions. A fault of the record never surfaces inside Tune:
`halted` says why the study has to stop, and whatever runs stays `running` for a resume.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher as TuneSearcher

from study.execution.progress import Progress
from study.execution.worker import Job, Report
from study.search.proposals import make_proposals
from study.search.scheduler import make_scheduler
from study.store.record import FAULTS, Record, new_result, now, state_of, why
from study.store.request import Request
from study_common import objectives
from study_common.layout import (
    EXHAUSTED,
    REJECTED,
    RESULT,
    RESUMED_BY_SAMPLER,
    TRIALS_DIR,
    Result,
    Rung,
    RunInterval,
)


class Searcher(TuneSearcher):
    """Proposes the trials that the record still lacks, and tells it truthfully how each one ended.

    A trial that the scheduler pauses at a rung has ended for Tune, but not for the study: when it goes on, it is a new
    trial of Tune's that starts from its checkpoint, as after a resume.
    """

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
        self.progress = Progress(request)
        self.scheduler = make_scheduler(request)
        """To be given to Tune beside this."""
        self._request = request
        self._record = record
        self._directory = directory.absolute()  # workers of a Ray that we joined are elsewhere
        self._token = token
        self._extra = extra
        self._unfinished: dict[int, tuple[dict[str, Any], Result]] = {}
        """The searched values and what is known of each trial that has not ended, by number."""
        self._running: dict[str, int] = {}
        """Numbers by Tune's names."""
        self._interrupted: list[int] = []
        self._paused: list[int] = []
        earlier = record.trials(request.epochs)
        self._asked = len(earlier)
        tried = [trial.params for trial in earlier]
        queue = [point for point in request.queue if point not in tried]
        self._proposals = make_proposals(request, len(earlier), queue)
        notes = record.notes()
        self._proposals.rejected |= notes.get(REJECTED, {})
        self.progress.rejected = self._proposals.rejected
        self._proposals.resumed_by_sampler = notes.get(RESUMED_BY_SAMPLER, 0)
        for trial in earlier:
            self._learn(trial)
        wanted = max(0, request.trials - len(earlier) + len(self._unfinished))
        surplus = self._interrupted[wanted:] + self.scheduler.beyond(max(0, wanted - len(self._interrupted)))
        for number in surplus:  # the study is to have fewer than it was
            self._stop(number)

    def _learn(self, trial: FrozenTrial) -> None:
        """Take in a trial of an earlier driver."""
        known: Result = trial.user_attrs[RESULT]
        paused = trial.state == TrialState.WAITING
        self.progress.known(trial.state, known["epochs"], known["metrics"])
        self._proposals.start(trial.params)
        for rung in known["rungs"]:
            self._measure(trial.params, rung)
            waits = paused and rung["epoch"] == known["epochs"]
            self.scheduler.reached(trial.number, rung["epoch"], rung["metrics"], waits)
        if trial.state in (TrialState.PRUNED, TrialState.FAIL):
            self.scheduler.stopped(trial.number)
        if paused:
            self._proposals.pause(trial.params)
        elif trial.state != TrialState.RUNNING:
            self._proposals.end(trial.params)
        if not trial.state.is_finished():
            self._unfinished[trial.number] = (trial.params, known)
            (self._paused if paused else self._interrupted).append(trial.number)

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]  # FINISHED, or None: later
        """Return the job of the next trial.

        First come those that were interrupted, then paused ones that are good enough to go on. Then it is the sampler's
        turn, which may rather have a paused one go on than try a new one.
        """
        try:
            if not self.halted:
                return self._next(trial_id)
        except (ValueError, *FAULTS) as error:
            self.halted = why(error)
        return str(self.FINISHED)

    def _next(self, trial_id: str) -> dict[str, Any] | str | None:
        if self._interrupted:
            return self._job(trial_id, self._interrupted.pop(0))
        if (number := self.scheduler.promote()) is not None:
            self._proposals.start(self._unfinished[number][0])
            return self._go_on(trial_id, number)
        if not self.scheduler.all_began:
            if self._asked < self._request.trials and (point := self._proposal()):
                number = next((n for n in self._paused if self._unfinished[n][0] == point), None)
                if number is None:
                    return self._start(trial_id, point)
                self.scheduler.promoted(number)
                return self._go_on(trial_id, number)
            self.scheduler.all_began = True
            return self._next(trial_id)
        if self._running:
            return None
        while self._paused:
            self._stop(self._paused[0])
        return str(self.FINISHED)

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """Keep the report of a trial that goes on."""
        if self._take(trial_id, result["report"]):
            number = self._running[trial_id]
            self._write(lambda: self._record.update(number, self._unfinished[number][1]))

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Keep the report of a trial that ended: its last, or the one at which the scheduler paused it."""
        if error or result is None:
            return  # `lost` follows, and knows why
        report: Report = result["report"]
        if report.halts:
            self.halted = self.halted or str(report.error)
            return
        self._take(trial_id, report)
        if report.last or report.error is not None:
            self._end(trial_id, report.error)
        else:
            self._pause(trial_id)

    def given_up(self, trial_id: str) -> None:
        """Have a trial that Tune gave up too early go on as another one of Tune's, as after a resume."""
        self._interrupted.append(self._running.pop(trial_id))

    def lost(self, trial_id: str, reason: str) -> None:
        """Give up a trial whose workers died again and again."""
        self._end(trial_id, reason)

    def save(self, checkpoint_path: str) -> None:
        """Write nothing: the record is the state, and Tune's copy of it is never read."""

    def _proposal(self) -> dict[str, Any] | None:
        rejected, resumed = dict(self._proposals.rejected), self._proposals.resumed_by_sampler
        point = self._proposals.next()
        if rejected != self._proposals.rejected:
            self._record.note(REJECTED, self._proposals.rejected)
        if resumed != self._proposals.resumed_by_sampler:
            self._record.note(RESUMED_BY_SAMPLER, self._proposals.resumed_by_sampler)
        self.progress.rejected = self._proposals.rejected
        if point is None:
            self._record.note(EXHAUSTED, True)
            self.progress.exhausted()
        return point

    def _start(self, trial_id: str, point: dict[str, Any]) -> dict[str, Any]:
        assert all(point != other for other, _ in self._unfinished.values()), "a configuration is tried once"
        known = new_result(self._request.seed)
        number = self._record.add(point, self._request.distributions(), known)
        self._asked += 1
        self._unfinished[number] = (point, known)
        self.progress.began()
        return self._job(trial_id, number)

    def _pause(self, trial_id: str) -> None:
        number = self._running[trial_id]
        point, known = self._unfinished[number]
        if self._write(lambda: self._record.pause(number, known)):
            del self._running[trial_id]
            self._paused.append(number)
            self.progress.changed(TrialState.RUNNING, TrialState.WAITING, {})
            self._proposals.pause(point)

    def _go_on(self, trial_id: str, number: int) -> dict[str, Any]:
        self._record.go_on(number)
        self._paused.remove(number)
        self.progress.changed(TrialState.WAITING, TrialState.RUNNING, {})
        return self._job(trial_id, number)

    def _job(self, trial_id: str, number: int) -> dict[str, Any]:
        self._running[trial_id] = number
        point, known = self._unfinished[number]
        known["intervals"].append(RunInterval(worker="", started=now(), ended=None))
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
        point, known = self._unfinished[self._running[trial_id]]
        interval = known["intervals"][-1]
        interval |= {
            "worker": report.worker,
            "ended": max(now(), interval["started"]),
        }  # clocks may be set back
        if report.error is not None or report.epoch <= known["epochs"]:
            return False
        known["epochs"] = report.epoch
        known["duration_s"] += report.seconds
        self.progress.trained(report.is_new)
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
        number = self._running[trial_id]
        known = self._unfinished[number][1]
        complete = state_of(known, self._request.epochs) == TrialState.COMPLETE
        if complete and not objectives.are_finite(self._request.objectives, known["metrics"]):
            error = error or f"an objective is not a finite number: {known['metrics']}"
        known["error"], known["finished"] = error, max(now(), known["started"])
        if error is not None:
            self.scheduler.stopped(number)
        if self._finish(number, TrialState.RUNNING):
            del self._running[trial_id]

    def _stop(self, number: int) -> None:
        """End a trial that will not go on: it finished when it ran last."""
        paused = number in self._paused
        (self._paused if paused else self._interrupted).remove(number)
        self.scheduler.stopped(number)
        known = self._unfinished[number][1]
        ran = [interval["ended"] for interval in known["intervals"] if interval["ended"]]
        known["finished"] = ran[-1] if ran else known["started"]
        self._finish(number, TrialState.WAITING if paused else TrialState.RUNNING)

    def _finish(self, number: int, before: TrialState) -> bool:
        point, known = self._unfinished[number]
        state = state_of(known, self._request.epochs)
        if self._write(lambda: self._record.finish(number, state, known)):
            del self._unfinished[number]
            self.progress.changed(before, state, known["metrics"])
            if before == TrialState.RUNNING:  # the sampler knows already of one that pauses
                self._proposals.end(point)
        return not self.halted

    def _write(self, write: Callable[[], None]) -> bool:
        """Write to the record; False, with the reason in `halted`, if that is not possible."""
        try:
            if not self.halted:
                write()
        except FAULTS as error:
            self.halted = why(error)
        return not self.halted
