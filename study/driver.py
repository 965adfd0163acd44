"""The driver: runs a study under Ray Tune from where its record stands to its end."""

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ray
from ray import tune

import results
import trainables
from results.record import RECORD_FILE, RESULT
from study import directory as directories
from study import storage
from study.batch import Interrupted, run_all
from study.cluster import Cluster, connected
from study.interrupt import Interrupt
from study.lease import Lease
from study.monitor import Monitor
from study.record import Record
from study.request import Request
from study.scheduler import Fifo, ParetoAsha
from study.searcher import Searcher
from study.spec import Spec, plan
from study.view import View
from study.worker import Job, Train, Worker, train

RETRIES = 2
"""How often a trial whose worker died is taken up again from its checkpoint."""
INIT_DIR = "init"
"""Where the float model of `--init float` is."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a driver ended."""

    directory: Path
    reason: str
    """Why it stopped before the study was complete; "" if it is."""
    code: int
    """Of the process: 0, also when the time budget is used up; 1 after a fault; 128 + n after signal n."""


def run(spec: Spec, train: Train = train) -> Outcome:
    """Start a study and run it to its end; ValueError, with nothing written, if something is wrong with `spec`."""
    request = plan(spec)
    with connected(spec.address, request.workers) as cluster:
        cluster.workers(request.workers, request.gpus_per_trial)
        directory = directories.create(request, spec.runs_dir)
        url = spec.storage or storage.url_in(directory)
        try:
            record = Record.open(url, request.name, request.objectives, new=True)
        except BaseException:
            shutil.rmtree(directory)
            raise
        with record, Lease(directory, record) as lease:
            return _drive(request, directory, record, lease, cluster, train)


def resume(directory: Path, trials: int | None = None, address: str = "", train: Train = train) -> Outcome:
    """Continue the study in `directory`, with `trials` as its new total; ValueError if another driver runs it."""
    request = Request.read(directory)
    url = request.storage or storage.url_in(directory)
    with Record.open(url, request.name, request.objectives) as record, Lease(directory, record) as lease:
        if trials is not None:
            request = replace(request, trials=trials)
            directories.rewrite(request, directory)
        with connected(address, request.workers) as cluster:
            return _drive(request, directory, record, lease, cluster, train)


def _drive(
    request: Request, directory: Path, record: Record, lease: Lease, cluster: Cluster, train: Train
) -> Outcome:
    directory = directory.resolve()
    interrupt = Interrupt(request.time_budget_s)
    with interrupt.catching_signals(), View(request, directory) as view:
        view.begin(cluster.dashboard)
        progress = None
        try:
            extra = _float_model(request, directory, lease, train, interrupt, view)
            searcher = Searcher(request, record, directory, lease.token, extra, _costs)
            progress = searcher.progress
            interrupt.faults = lambda: searcher.halted or lease.lost
            _tune(request, record, searcher, cluster, train, interrupt, view)
        except Interrupted:
            pass
        except ray.exceptions.RayError as error:
            interrupt.reason = interrupt.reason or f"Ray failed: {str(error).splitlines()[0]}"
        _write_results(request, directory, record)
        view.end(interrupt.reason, progress)
    return Outcome(directory=directory, reason=interrupt.reason, code=interrupt.code)


def _tune(
    request: Request,
    record: Record,
    searcher: Searcher,
    cluster: Cluster,
    train: Train,
    interrupt: Interrupt,
    view: View,
) -> None:
    """Run trials until the searcher has no more or there is a reason to stop."""
    os.environ |= _TUNE_SETTINGS
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # what it would say is in the view or in log.txt
    workers = cluster.workers(request.workers, request.gpus_per_trial)
    with tempfile.TemporaryDirectory(prefix="study-") as scratch:
        tune.run(
            tune.with_parameters(Worker, train=train),
            name=request.name,
            num_samples=-1,
            search_alg=searcher,
            scheduler=_scheduler(request, record),
            max_concurrent_trials=workers,
            resources_per_trial={"cpu": 1, "gpu": request.gpus_per_trial},
            reuse_actors=True,
            max_failures=RETRIES,
            raise_on_failed_trial=False,
            stop=interrupt,
            callbacks=[Monitor(request, searcher, view)],
            storage_path=scratch,
            trial_dirname_creator=lambda trial: f"{trial.config['job'].number}-{trial.trial_id}",
            verbose=0,
        )


_TUNE_SETTINGS = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # `Interrupt` has it
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # the record has it
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "RAY_AIR_NEW_OUTPUT": "0",  # `verbose=0` does not silence the new one
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}


def _scheduler(request: Request, record: Record) -> Fifo:
    if request.scheduler == "fifo":
        return Fifo()
    history = [
        (trial.number, rung["epoch"], rung["metrics"])
        for trial in record.study.get_trials(deepcopy=False)
        for rung in trial.user_attrs[RESULT]["rungs"]
    ]
    return ParetoAsha(request.objectives, request.rungs, request.reduction_factor, history)


def _float_model(
    request: Request, directory: Path, lease: Lease, train: Train, interrupt: Interrupt, view: View
) -> dict[str, Any]:
    """Return the settings by which trials start from the study's float model, training it first if need be."""
    if not request.init:
        return {}
    config = trainables.float_config(trainables.Config.parse(request.flat({})))
    job = Job(number=-1, flat=config.flat(), directory=directory / INIT_DIR, study=directory, token=lease.token)
    view.say(f"training the float model that all trials start from: {config.epochs} epochs")
    (report,) = run_all([job], train, request.gpus_per_trial, interrupt.stop_all)
    if report.error:
        interrupt.reason = f"the float model failed: {report.error}"
        raise Interrupted
    return {"init": str(directory / INIT_DIR / trainables.checkpoint.CHECKPOINT)}


def _costs(flat: Mapping[str, Any]) -> Mapping[str, float]:
    return trainables.costs(trainables.Config.parse(flat))


def _write_results(request: Request, directory: Path, record: Record) -> None:
    """Write what the study says so far: table, front and report, and a copy of a record kept elsewhere."""
    if request.storage:
        record.snapshot(directory / RECORD_FILE)
    getattr(results, 'write', print)(directory)
