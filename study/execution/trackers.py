"""The tools of --log: MLflow, TensorBoard, Weights & Biases. A trial is one run of theirs."""

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from study.execution.tracking import RUNNING, Entry, Tracker, Tracking
from study.execution.worker import saved_epochs
from study.store.request import Request
from study_common.files import refuse_links
from study_common.layout import MLFLOW_FILE, STATES, TENSORBOARD_DIR, TRIALS_DIR, WANDB_DIR

ENDS = tuple(STATES[name] for name in ("COMPLETE", "PRUNED", "FAIL"))
COMPLETE, STOPPED, FAILED = ENDS


@contextmanager
def telling(
    request: Request, directory: Path, say: Callable[[str], None]
) -> Iterator[Callable[[Entry], None]]:
    """Give what takes the entries for the study's tool, if it has one.

    Args:
        request: The study.
        directory: Its directory; the tool writes there, unless its own variables in the environment say otherwise.
        say: Shows the user a line; may be called from any thread.
    """
    if not request.log:
        yield lambda entry: None
        return
    tracking = Tracking(request.log, lambda: _KINDS[request.log](request, directory.absolute()), say)
    try:
        yield tracking.put
    finally:
        tracking.close()


class MlflowTracker:
    """An experiment of the study's name on the server that MLFLOW_TRACKING_URI names, or in a file of SQLite."""

    def __init__(self, request: Request, directory: Path) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent that nobody asked for
        from mlflow import MlflowClient

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)
        file = directory / MLFLOW_FILE
        refuse_links(file, directory)
        self.place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{file}"
        self._client = MlflowClient(self.place)
        self._study = {"study": request.name, "study.created": request.created}
        found = self._client.get_experiment_by_name(request.name)
        self._experiment = found.experiment_id if found else self._client.create_experiment(request.name)
        self._runs: dict[int, tuple[str, int]] = {}
        """The run of each trial that runs, and the last epoch that it had when it was found."""

    def write(self, entry: Entry) -> None:
        """Send an epoch, or the state."""
        from mlflow.entities import Metric, RunTag

        if entry.number not in self._runs:
            self._runs[entry.number] = self._found(entry) or self._begun(entry)
        run, done = self._runs[entry.number]
        if entry.metrics and entry.epoch > done:
            metrics, now = {**entry.metrics, "epoch": entry.epoch}, time.time_ns() // 10**6
            values = [Metric(name, float(value), now, entry.epoch) for name, value in metrics.items()]
            self._client.log_batch(run, metrics=values)
        if entry.metrics:
            return
        tags = [RunTag("state", entry.state), *([RunTag("error", entry.error[:5000])] if entry.error else [])]
        self._client.log_batch(run, tags=tags)
        if entry.state in ENDS:
            status = {COMPLETE: "FINISHED", STOPPED: "KILLED", FAILED: "FAILED"}[entry.state]
            self._client.set_terminated(run, status)
        else:
            self._client.update_run(run, "RUNNING" if entry.state == RUNNING else "SCHEDULED")
        if entry.state != RUNNING:
            del self._runs[entry.number]

    def _found(self, entry: Entry) -> tuple[str, int] | None:
        wanted = {**self._study, "trial": str(entry.number)}
        query = " and ".join(f"tags.`{name}` = '{value}'" for name, value in wanted.items())
        runs = self._client.search_runs([self._experiment], query, max_results=1)
        return (runs[0].info.run_id, int(runs[0].data.metrics.get("epoch", 0))) if runs else None

    def _begun(self, entry: Entry) -> tuple[str, int]:
        from mlflow.entities import Param

        tags = {**self._study, "trial": str(entry.number)}
        run = self._client.create_run(self._experiment, run_name=_name(self._study, entry), tags=tags)
        params = [Param(name, str(value)) for name, value in entry.values.items()]
        for start in range(0, len(params), 100):  # it takes 100 at a time
            self._client.log_batch(run.info.run_id, params=params[start : start + 100])
        return run.info.run_id, 0


class TensorBoardTracker:
    """Event files, a folder per trial, which TensorBoard shows as its runs.

    Where a trial continues after other than its last epoch, a mark in the next file takes back the epochs since then.
    """

    def __init__(self, request: Request, directory: Path) -> None:
        folder = directory / TENSORBOARD_DIR
        refuse_links(folder, directory)
        self.place = str(folder)
        self._objectives = dict.fromkeys(request.objectives, 0.0)
        self._files: dict[int, Any] = {}

    def write(self, entry: Entry) -> None:
        """Append to the file of the trial."""
        from tensorboardX.proto.summary_pb2 import Summary
        from tensorboardX.summary import hparams, text

        file = self._files.get(entry.number) or self._opened(entry)
        values = [Summary.Value(tag=name, simple_value=value) for name, value in entry.metrics.items()]
        _add(file, entry.epoch, Summary(value=values))
        file.flush()
        if entry.state != RUNNING:
            _add(file, entry.epoch, text("state", f"{entry.state} {entry.error}".strip()))
            if entry.state == COMPLETE:
                _add(file, entry.epoch, hparams(entry.values, self._objectives)[2])
            self._files.pop(entry.number).close()

    def _opened(self, entry: Entry) -> Any:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog
        from tensorboardX.summary import hparams

        folder = Path(self.place, str(entry.number))
        folder.mkdir(parents=True, exist_ok=True)
        # TensorBoard reads the files of a folder in the order of their names, and these have only seconds.
        file = self._files[entry.number] = EventsWriter(str(folder / "events"), f".{time.time_ns()}")
        restart = SessionLog(status=SessionLog.START)
        file.write_event(Event(wall_time=time.time(), step=entry.epoch + 1, session_log=restart))
        for summary in hparams(entry.values, self._objectives)[:2]:
            _add(file, entry.epoch, summary)
        return file


def _add(file: Any, epoch: int, summary: Any) -> None:
    from tensorboardX.proto.event_pb2 import Event

    file.write_event(Event(wall_time=time.time(), step=epoch, summary=summary))


class WandbTracker:
    """Runs of the group of the study's name in the project that WANDB_PROJECT names.

    Without a key, and where WANDB_MODE says so, they are kept in files. A run of these cannot be continued, so that a
    trial is written as a whole then, when it has ended.
    """

    def __init__(self, request: Request, directory: Path) -> None:
        import wandb

        refuse_links(directory / WANDB_DIR, directory)
        self._wandb = wandb
        self._request = request
        self._directory = directory
        self._mode = os.environ.get("WANDB_MODE") or ("online" if wandb.login(prompt=False) else "offline")
        self.place = str(directory / WANDB_DIR) if self._mode == "offline" else f"W&B ({self._mode})"
        self._runs: dict[int, Any] = {}
        self._epochs: dict[int, dict[int, dict[str, float]]] = {}
        """Of trials that have not ended, when they are kept in files."""

    def write(self, entry: Entry) -> None:
        """Send what is new, or keep it until the trial has ended."""
        if self._mode != "offline":
            self._send(entry)
            return
        epochs = self._epochs.setdefault(entry.number, {})
        if entry.metrics:
            epochs[entry.epoch] = dict(entry.metrics)
        if entry.state in ENDS:
            folder = self._directory / TRIALS_DIR / str(entry.number)
            saved = {epoch.epoch: epoch.metrics for epoch in saved_epochs(folder, self._request.epochs)}
            for epoch, metrics in sorted((saved | self._epochs.pop(entry.number)).items()):
                self._send(replace(entry, state=RUNNING, epoch=epoch, metrics=metrics))
            self._send(entry)

    def _send(self, entry: Entry) -> None:
        run = self._runs.get(entry.number) or self._opened(entry)
        if entry.metrics:
            run.log(dict(entry.metrics), step=entry.epoch, commit=True)  # it leaves out steps that it has
        if entry.state != RUNNING:
            run.summary.update({"state": entry.state, "error": entry.error})
            self._runs.pop(entry.number).finish(exit_code=int(entry.state == FAILED))

    def _opened(self, entry: Entry) -> Any:
        request, wandb = self._request, self._wandb
        study = hashlib.sha256(f"{request.name} {request.created}".encode()).hexdigest()[:12]
        self._runs[entry.number] = wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "sgt-pact-study",
            group=request.name,
            name=_name({"study": request.name}, entry),
            id=f"{study}-{entry.number}",
            config={**entry.values, "study": request.name, "trial": entry.number},
            dir=self._directory,
            mode=self._mode,
            resume="allow" if self._mode == "online" else None,
            reinit="create_new",
            settings=wandb.Settings(
                console="off",
                silent=True,
                x_disable_meta=True,
                x_disable_stats=True,
                x_save_requirements=False,
            ),
        )
        return self._runs[entry.number]


def _name(study: dict[str, str], entry: Entry) -> str:
    return f"{study['study']}/{entry.number}"


_KINDS: dict[str, Callable[[Request, Path], Tracker]] = {
    "mlflow": MlflowTracker,
    "tensorboard": TensorBoardTracker,
    "wandb": WandbTracker,
}
