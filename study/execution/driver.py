"""The driver: runs a study under Ray Tune from where its record stands to its end."""

import logging
import os
import shutil
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import ray
from optuna.trial import FrozenTrial, TrialState
from ray import tune

from search_spaces import Point
from study.execution import start_model, width_table
from study.execution.batch import RETRIES, InterruptedBatchError
from study.execution.cluster import Cluster, check_importable, connected
from study.execution.gcs_watch import GcsWatch
from study.execution.interrupt import Interrupt
from study.execution.monitor import Monitor
from study.execution.patience import Patience
from study.execution.ray_internals import gcs_address, install_actor_manager
from study.execution.searcher import Searcher
from study.execution.trackers import telling
from study.execution.view import View
from study.execution.width_table import Estimate, estimate
from study.execution.worker import Train, Worker, train
from study.planning.plan import plan
from study.planning.spec import Spec
from study.store import database as storage
from study.store import directory as directories
from study.store.lease import Lease, check_locks
from study.store.options import check_log
from study.store.record import FAULTS, Record, describe_fault, faults_as_user_errors, now
from study.store.request import Request
from study.store.versions import differences, git_commit, versions
from study_common.errors import UserError
from study_common.layout import EXHAUSTED, RESULT, VERSIONS


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How a driver ended."""

    directory: Path
    reason: str
    """Why it stopped before the study was complete; "" if it is."""
    code: int
    """Exit code of the process: 0, also when the time budget is used up; 1 after a fault, or if most trials failed;
    128 + n after signal n."""


@dataclass(frozen=True, kw_only=True)
class _Held:
    """A study that this driver holds."""

    request: Request
    directory: Path
    record: Record
    lease: Lease
    trials: Sequence[FrozenTrial] = ()
    """Those of earlier drivers."""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a resume may change of a study, for itself and all later ones; None leaves it as it is."""

    trials: int | None = None
    """The new total."""
    replicates: int | None = None
    """How many of them are replicates."""
    time_budget_s: float | None = None
    """Seconds that this and each later driver may train; infinite lifts the budget."""
    workers: int | None = None
    gpus_per_trial: float | None = None
    log: str | None = None
    """The tool in which trials are shown; "" for none."""

    def applied(self, request: Request) -> Request:
        """Return `request` with these changes."""
        return replace(request, **{name: value for name, value in vars(self).items() if value is not None})


def run_study(spec: Spec, train: Train = train, estimate: Estimate = estimate) -> Outcome:
    """Start a study and run it to its end.

    Args:
        spec: What to search.
        train: What trains a configuration.
        estimate: What measures a configuration of the width table.

    Raises:
        UserError: Something is wrong with `spec`; nothing was written.
    """
    request = plan(spec)
    request, directory = directories.claim(request, spec.runs_dir, "" if spec.name else request.space.name)
    url = spec.storage or storage.url_in(directory)
    with ExitStack() as stack:
        try:
            check_locks(directory)
            cluster = stack.enter_context(connected(spec.address, request.workers))
            cluster.workers(request.workers, request.gpus_per_trial)
            check_importable(request.fixed.get("model", ""))
            record = Record.open(url, request.name, request.objectives, new=True)
        except BaseException:
            shutil.rmtree(directory)
            raise
        with record, Lease(directory, record) as lease:
            held = _Held(request=request, directory=directory, record=record, lease=lease)
            return _drive(held, cluster, train, estimate)


@faults_as_user_errors()
def resume_study(
    directory: Path,
    trials: int | None = None,
    address: str = "",
    train: Train = train,
    *,
    estimate: Estimate = estimate,
    changes: Changes | None = None,
    storage_url: str = "",
) -> Outcome:
    """Continue a study from where its record stands.

    Args:
        directory: Directory of the study.
        trials: The new total, None to leave it as it is.
        address: Address of a running Ray to join, "" to start one.
        train: What trains a configuration.
        estimate: What measures a configuration of the width table.
        changes: What else to change.
        storage_url: Where the record is, of a study that was not launched on this machine and keeps it elsewhere.

    Raises:
        UserError: Another driver runs it, its images differ from those at the launch, or its record cannot be opened.
    """
    changes = changes or Changes()
    if trials is not None:
        changes = replace(changes, trials=trials)
    request = Request.read(directory)
    check_log(changes.applied(request).log)
    url = directories.record_url(request, directory, storage_url)
    new = not Record.exists(url, request.name)
    if new and directories.has_trials(directory):
        raise UserError(
            f"{storage.public(url)} has no record of {request.name} though there are trials; restore that database, "
            "or launch a new study"
        )
    if not new:
        directories.check_record(request, directory)
    with Record.open(url, request.name, request.objectives, new) as record, Lease(directory, record) as lease:
        directories.remove_temporary(directory)
        asked = changes.applied(request)
        known = record.trials(asked.epochs)
        held = _Held(request=asked, directory=directory, record=record, lease=lease, trials=known)
        another = _has_another(held)
        tried = len(known) >= asked.trials or not another
        complete = tried and all(trial.state.is_finished() for trial in known)
        if not complete:
            asked.check_files()
            start_model.check(asked, directory, record)
        if asked != request:
            directories.rewrite(asked, directory)
        if complete:
            return _tell_complete(held, another)
        with connected(address, asked.workers) as cluster:
            cluster.workers(asked.workers, asked.gpus_per_trial)
            check_importable(asked.fixed.get("model", ""))
            return _drive(held, cluster, train, estimate)


def _has_another(held: _Held) -> bool:
    """Tell whether the space has a trial that the study did not have yet."""
    known = held.trials
    if EXHAUSTED in held.record.attributes():
        return held.request.replicates_left([trial.user_attrs[RESULT] for trial in known]) > 0
    return replace(held.request, trials=len(known) + 1).attainable > len(known)


def _tell_complete(held: _Held, another: bool) -> Outcome:
    """Write the results of a study that has nothing to run, and say so."""
    request, directory = held.request, held.directory
    directories.write_results(request, directory, held.record)
    with View(request, directory) as view:
        waiting = sum(row.state == TrialState.WAITING for row in held.record.foreign())
        hint = "--trials N runs more" if another else "its space has no more"
        hint += f"; {waiting} that were enqueued wait" if waiting and another else ""
        view.say(f"study {request.name} is complete with {len(held.trials)} trials; {hint}")
        view.end("", None)
    return Outcome(directory=directory, reason="", code=0)


def _drive(held: _Held, cluster: Cluster, train: Train, estimate: Estimate) -> Outcome:
    """Run the study until it is complete or has to stop, and write what it says so far."""
    interrupt = Interrupt(held.request.time_budget_s, faults=lambda: held.lease.lost)
    progress = None
    watch = GcsWatch(gcs_address(), directories.resume_command(held.directory))
    with (
        interrupt.catching_signals(),
        View(held.request, held.directory) as view,
        watch,
        telling(held.request, held.directory, view.say) as tell,
    ):
        view.begin(cluster.dashboard)
        for line in (cluster.unused(held.request.gpus_per_trial), *_changed_versions(held)):
            if line:
                view.say(line)
        try:
            patience = Patience.of(held.request, held.trials)
            start = None
            if held.request.init:
                interrupt.start_clock()
                start = start_model.trained(
                    held.request, held.directory, held.record, held.lease.token, train, interrupt.stop_all, patience,
                    view.say,
                )  # fmt: skip
            promising: list[Point] = []
            if start and held.request.init == "shared":
                table = width_table.measure(
                    held.request,
                    held.directory,
                    start,
                    held.lease.token,
                    estimate,
                    interrupt.stop_all,
                    patience,
                    view.say,
                )
                promising = width_table.to_try(held.request, table)
            searcher = Searcher(
                held.request, held.record, held.directory, held.lease.token, start, promising, tell
            )
            progress = searcher.progress
            interrupt.faults = lambda: searcher.halted or held.lease.lost or watch.lost
            monitor = Monitor(held.request, searcher, interrupt, view, patience)
            _tune(held, searcher, monitor, cluster, train, interrupt)
            directories.write_results(held.request, held.directory, held.record)
        except InterruptedBatchError:
            pass
        except ray.exceptions.RayError as error:
            interrupt.stop(f"Ray failed: {str(error).splitlines()[0]}")
        except UserError as error:
            interrupt.stop(str(error))
        except FAULTS as error:
            interrupt.stop(describe_fault(error))
        except Exception as error:  # TuneError has what one of our callbacks raised, as text
            said = str(error).strip().splitlines() or [type(error).__name__]
            interrupt.stop(f"a fault of this program ({said[-1]})")
            raise
        finally:
            view.end(interrupt.reason, progress)
    code = interrupt.code or int(progress is not None and progress.most_failed)
    return Outcome(directory=held.directory, reason=interrupt.reason, code=code)


def _changed_versions(held: _Held) -> list[str]:
    """Return what differs from the versions that trained last, and write them to the record, once."""
    recorded = held.record.attributes().get(VERSIONS, [])
    request = held.request
    last = recorded[-1] if recorded else {"since": "", **request.versions, "git_commit": request.git_commit}
    now_used = {**versions(), "git_commit": git_commit()}
    changed = differences({name: last[name] for name in last if name != "since"}, now_used)
    if not changed:
        return []
    held.record.set_attribute(VERSIONS, [*recorded, {"since": now(), **now_used}])
    return [f"the versions changed: {', '.join(changed)}; they apply to all run intervals from now on"]


def _tune(
    held: _Held, searcher: Searcher, monitor: Monitor, cluster: Cluster, train: Train, interrupt: Interrupt
) -> None:
    """Run trials until the searcher has no more or there is a reason to stop."""
    request = held.request
    os.environ |= _TUNE_SETTINGS
    install_actor_manager()
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # the view and log.txt show the same
    # Tune may still be writing into it when a study is stopped.
    with tempfile.TemporaryDirectory(prefix="study-", ignore_cleanup_errors=True) as scratch:
        tune.run(
            tune.with_parameters(Worker, train=train),
            name=request.name,
            num_samples=-1,
            search_alg=searcher,
            scheduler=searcher.scheduler,
            max_concurrent_trials=cluster.workers(request.workers, request.gpus_per_trial),
            resources_per_trial={"cpu": 1, "gpu": request.gpus_per_trial},
            reuse_actors=True,
            max_failures=RETRIES,
            raise_on_failed_trial=False,
            stop=interrupt,
            callbacks=[monitor],
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
