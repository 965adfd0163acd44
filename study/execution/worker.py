"""The worker: a Ray actor that trains one configuration after another, one epoch per call.

It writes only into the directory of its trial, and an epoch is on disk before the driver hears of it. So a trial that
is resumed, by another worker or for another driver, first repeats what is on disk but not in the record. On a machine
that does not see the study it writes into a copy, which the keeper writes to disk.
"""

import contextlib
import logging
import os
import socket
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayError

import trainables
from study.execution import keeper, run_folder
from study.execution.cluster import keep_to_given_gpus
from study.store.inputs import Inputs
from study.store.lease import is_current
from study.store.versions import code_digest
from study_common import layout
from study_common.errors import NO_ROOM, LinkError, ModelImportError, UserError
from study_common.files import open_without_links

log = logging.getLogger("study")


Train = Callable[[Mapping[str, Any], Path], Iterator[trainables.Epoch]]
"""Trains a flat configuration for its `epochs`, resuming from what is in the directory."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """One configuration to train; `number` is what the driver knows it by."""

    number: int
    flat: dict[str, Any]
    directory: Path
    study: Path
    token: str
    """The token of the driver's lease on the study."""
    recorded: int = 0
    """The last epoch that the record knows."""
    data: str = ""
    """The fingerprint of the images."""
    inputs: Inputs | None = None
    """What every run of the study reads; None: that is not compared."""
    weights: str = ""
    """The digest of the weights that the run starts from, if its `init` is the model of the study."""
    host: str = field(default_factory=socket.gethostname)
    """The machine that made the job: the driver's."""
    code: str = field(default_factory=code_digest)
    """The digest of this package there."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """One epoch, or the `error` that ended the run."""

    epoch: int = 0
    last: bool = False
    seconds: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    is_new: bool = False
    """It was trained just now, and not read from disk."""
    error: str | None = None
    halts: bool = False
    """The configuration is not the cause of the error, so the study stops."""
    worker: str = ""
    notice: str = ""
    """What the user should know, once."""


def train(flat: Mapping[str, Any], directory: Path) -> Iterator[trainables.Epoch]:
    """Run `trainables.epochs`: the `Train` of every study but those of the engine's own tests."""
    trainables.prepare_process()
    return trainables.epochs(trainables.Config.parse(flat), resume=directory)


class Worker(tune.Trainable):
    """Tune's class API: `step` runs in the actor's main thread, and `reset_config` makes the actor reusable."""

    def setup(self, config: dict[str, Any], train: Train = train) -> None:
        """Take the first job; the work begins with the first `step`."""
        keep_to_given_gpus()
        self._train = train
        self._reports = reports(config["job"], train)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Take the next job."""
        self.cleanup()
        self._reports = reports(new_config["job"], self._train)
        return True

    def step(self) -> dict[str, Any]:
        """Return the next `Report`."""
        report = next(self._reports)
        return {"report": report, "done": report.last or report.error is not None}

    def cleanup(self) -> None:
        """Drop the run in hand."""
        self._reports.close()


def reports(job: Job, train: Train) -> Generator[Report, None, None]:
    """Yield what is on disk and not in the record, then train on; an exception becomes the last report."""
    host = socket.gethostname()
    worker = f"{host}:{os.getpid()}"
    try:
        if job.host != host and job.code != code_digest():
            raise _HaltedError(
                f"{host} has another version of this package than {job.host}; install the same on both"
            )
        if job.inputs:
            with _halting():  # before the folder of the run, whose identity has them in it
                job.inputs.check_weights(trainables.Config.parse(job.flat))
        with _opened(job) as run:
            notice = run.notice
            with _logging_to(run.directory / layout.LOG_FILE):
                try:
                    for report in _epochs(job, run, train):
                        last = report.epoch == job.flat["epochs"]
                        yield replace(report, last=last, worker=worker, notice=notice)
                        notice = ""
                except Exception:
                    log.exception("failed")
                    raise
    except RayError:  # the keeper cannot be asked: as if this worker had died
        raise
    except Exception as error:
        refused = isinstance(error, LinkError | ModelImportError | _HaltedError)
        full = isinstance(error, OSError) and error.errno in NO_ROOM
        reason = (
            f"the disk is full ({error})"
            if full
            else str(error)
            if refused
            else f"{type(error).__name__}: {error}"
        )
        yield Report(error=reason, halts=full or refused, worker=worker)


@contextlib.contextmanager
def _halting() -> Iterator[None]:
    """Stop the study if what all its trials read, or start from, is not the same here and now."""
    try:
        yield
    except (LinkError, ModelImportError):
        raise
    except UserError as error:
        raise _HaltedError(f"on {socket.gethostname()}, {error}") from None
    except OSError as error:
        if error.errno in NO_ROOM:
            raise
        raise _HaltedError(f"on {socket.gethostname()}, a file cannot be read ({error})") from None


class _HaltedError(Exception):
    """No trial can be trained on this machine."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A run that a worker has in hand."""

    directory: Path
    flat: Mapping[str, Any]
    """With files that this machine has."""
    notice: str
    save: Callable[[trainables.Epoch], bool]
    """Write an epoch to disk; False if another driver has the study, so that what we wrote would be in its way."""


@contextlib.contextmanager
def _opened(job: Job) -> Iterator[_Run]:
    """Prepare the folder of the run, or a copy of it where that is not seen."""
    if is_current(job.study, job.token) or not keeper.there_is_one():
        if not job.study.is_dir():
            raise _HaltedError(
                f"{job.study} is not on {socket.gethostname()}; use a --runs-dir that all machines share"
            )

        def save(epoch: trainables.Epoch) -> bool:
            current = is_current(job.study, job.token)
            if current:
                epoch.save(job.directory)
            return current

        notice = run_folder.begin(job.directory, job.study, job.flat, job.data)
        yield _Run(directory=job.directory, flat=job.flat, notice=notice, save=save)
        return
    notice, files = keeper.ask("begin", job.directory, job.study, job.flat, job.data)
    with (
        keeper.temporary_folder(job.directory.name) as folder,
        keeper.with_start(job.flat, job.study) as flat,
    ):
        copy = keeper.Copy(job.directory, job.study, job.token, files, folder)

        def save(epoch: trainables.Epoch) -> bool:
            epoch.save(folder)
            return copy.hand_back()

        try:
            yield _Run(directory=folder, flat=flat, notice=notice, save=save)
        finally:
            with contextlib.suppress(RayError):  # what the log has since the last epoch
                copy.hand_back()


def _epochs(job: Job, run: _Run, train: Train) -> Iterator[Report]:
    saved = saved_epochs(run.directory, job.flat["epochs"])
    yield from (report for report in saved if report.epoch > job.recorded)
    done = saved[-1].epoch if saved else 0
    if done == job.flat["epochs"]:
        return
    if not done:
        (run.directory / layout.CURVE_FILE).unlink(missing_ok=True)  # what was altered
    with _halting():
        if job.inputs:
            job.inputs.check_images(trainables.Config.parse(job.flat))
        if job.weights:
            run_folder.check_weights(Path(job.flat["init"]), job.weights, Path(run.flat["init"]))
    log.info("training from epoch %d", done + 1)
    for epoch in train(run.flat, run.directory):
        if not run.save(epoch):
            os._exit(1)
        if epoch.number > done:
            yield Report(epoch=epoch.number, seconds=epoch.seconds, metrics=epoch.metrics, is_new=True)


def saved_epochs(directory: Path, epochs: int) -> list[Report]:
    """Read the epochs of a run of `epochs` epochs from its directory.

    The last of all counts only if it was saved to the end, which removes the resume files.
    """
    saved = [
        Report(epoch=int(row["epoch"]), seconds=row["seconds"], metrics=_metrics(row))
        for row in run_folder.curve(directory)
    ]
    half_saved = run_folder.half_saved(directory)
    return [report for report in saved if report.epoch < epochs or not half_saved]


def _metrics(row: Mapping[str, float]) -> dict[str, float]:
    others = ("epoch", "seconds", layout.ALPHA_PREFIX, layout.STEP_PREFIX)
    return {name: value for name, value in row.items() if not name.startswith(others)}


@contextlib.contextmanager
def _logging_to(path: Path) -> Iterator[None]:
    """Send what the run logs to its own file as well."""
    file = open(  # noqa: SIM115 - closed below, after the handler is taken away
        open_without_links(path, os.O_CREAT | os.O_APPEND | os.O_WRONLY), "a", encoding="utf-8"
    )
    root, handler = logging.getLogger(), logging.StreamHandler(file)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.INFO)
    log.setLevel(logging.INFO)
    root.addHandler(handler)
    try:
        yield
    finally:
        root.removeHandler(handler)
        file.close()
