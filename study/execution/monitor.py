"""The callback that follows a study: lost workers into the record, figures into Ray's metrics and the view."""

import pickle
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.util.metrics import Gauge

from study.execution.interrupt import Interrupt
from study.execution.patience import Patience
from study.execution.ray_internals import kill_worker
from study.execution.searcher import Searcher
from study.execution.view import View
from study.execution.worker import Report
from study.store.request import Request
from study_common import layout

INTERVAL_S = 0.5
"""Seconds between two updates of the figures."""


class Monitor(Callback):
    """Tune calls it after every event."""

    def __init__(
        self, request: Request, searcher: Searcher, interrupt: Interrupt, view: View, patience: Patience
    ) -> None:
        self._searcher = searcher
        self._interrupt = interrupt
        self._patience = patience
        self._view = view
        self._next = 0.0
        self._recovered: tuple[int, str] | None = None
        """When which trial was last resumed."""
        tags = {"study": request.name}
        self._trials = _gauge("study_trials", "Trials by state", tags, "state")
        self._best = _gauge(
            "study_best", "Best value of each objective among the complete trials", tags, "objective"
        )
        self._hypervolume = _gauge("study_hypervolume", "Hypervolume of the front, 0 to 1", tags)
        self._speed = _gauge("study_epochs_per_second", "Epochs trained per second, all workers", tags)

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Let the time budget run, now that a worker is up."""
        self._interrupt.start_clock()
        self._patience.started(trial.trial_id)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        """Note that the trial makes progress."""
        report: Report = result["report"]
        self._patience.reported(trial.trial_id, report.seconds, is_new=report.is_new)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Wait no longer for the trial."""
        self._patience.ended(trial.trial_id)

    def on_trial_recover(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Note in the log of the trial that its worker died."""
        self._patience.ended(trial.trial_id)
        self._recovered = (iteration, trial.trial_id)
        _log_line(trial, f"{_reason(trial)}; resuming it from its checkpoint")

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        """Fail a trial whose workers died too often.

        Of a worker that dies between two trials Tune (seen in Ray 2.60) tells twice in one iteration: first it resumes
        the next trial, and then it gives that one up.
        """
        self._patience.ended(trial.trial_id)
        if self._recovered == (iteration, trial.trial_id):
            self._searcher.requeue(trial.trial_id)
            return
        reason = f"its worker died {trial.num_failures} times; last: {_reason(trial)}"
        _log_line(trial, reason)
        self._searcher.lost(trial.trial_id, reason)

    def on_step_end(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Show the figures, and whatever a worker has to say."""
        while self._searcher.notices:
            self._view.say(self._searcher.notices.pop(0))
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + INTERVAL_S
        self._end_silent(trials)
        progress = self._searcher.progress
        self._view.show(progress)
        for state, count in progress.states.items():
            self._trials.set(count, {"state": state})
        for objective, value in progress.best.items():
            self._best.set(value, {"objective": objective})
        self._hypervolume.set(progress.hypervolume)
        self._speed.set(progress.epochs_per_second)

    def _end_silent(self, trials: list[Trial]) -> None:
        """Kill the workers of trials that show no progress: Tune resumes those as it does when a worker dies."""
        for name in self._patience.overdue():
            trial = next(trial for trial in trials if trial.trial_id == name)
            line = self._patience.reason()
            _log_line(trial, line)
            self._view.say(f"trial {trial.config['job'].number}: {line}")
            self._patience.ended(name)
            kill_worker(trial)


def _gauge(name: str, description: str, tags: dict[str, str], *more: str) -> Gauge:
    gauge = Gauge(name, description, tag_keys=(*tags, *more))
    gauge.set_default_tags(tags)
    return gauge


def _reason(trial: Trial) -> str:
    if not trial.pickled_error_file:
        return "its worker failed"
    error = pickle.loads(Path(trial.pickled_error_file).read_bytes())
    return " ".join(str(error).split())[:500]


def _log_line(trial: Trial, line: str) -> None:
    """Write `line` into the log of `trial`, if that can be written: a fault in here would end the study."""
    path: Path = trial.config["job"].directory / layout.LOG_FILE
    with suppress(OSError), path.open("a", encoding="utf-8") as log:
        log.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} WARNING study: {line}\n")
