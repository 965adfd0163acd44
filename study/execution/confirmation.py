"""Retraining chosen trials with fresh seeds, and measuring them on the test split: the work of `study.confirm`.

The trial's own model is examined on validation images: whether its saliency maps are robust, sane, and those of the
float model.
"""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import results
import trainables
from results.analysis.formatting import format_metric
from results.analysis.terminal import print_table
from study.execution import run_folder, start_model
from study.execution.batch import InterruptedBatchError, run_all
from study.execution.cluster import check_importable, connected
from study.execution.interrupt import Interrupt
from study.execution.patience import Patience
from study.execution.start_model import StartModel
from study.execution.worker import Job, Report, train
from study.store import directory as directories
from study.store.lease import Lease
from study.store.record import Record, faults_as_user_errors
from study.store.request import Request
from study_common import layout
from study_common.errors import UserError
from study_common.layout import (
    CONFIRMATIONS,
    INIT_DIR,
    TEST_READS,
    TRIALS_DIR,
    Confirmation,
    confirmation_digest,
)
from study_common.output import say

DIRECTORY = "confirmations"
"""The directory of the retrained models, in that of the study."""


def chosen(directory: Path, trials: str | None, top: int | None) -> list[int]:
    """Return the numbers of the trials to confirm: those listed in `trials`, or the `top` best of the front.

    Args:
        directory: Directory of the study.
        trials: Numbers of complete trials, separated by commas.
        top: How many members of the front, those best in the first objective.

    Raises:
        UserError: A number is not that of a complete trial, or there is no front yet.
    """
    study = results.load(directory)
    if top is not None:
        name, way = next(iter(study.directions.items()))
        front = study.front()
        best = front.sort_values(f"metrics.{name}", ascending=way == "min")["number"].tolist()[:top]
        if not best:
            raise UserError(f"{study.name} has no front yet; let trials complete first")
        return [int(number) for number in best]
    try:
        numbers = [int(word) for word in (trials or "").split(",")]
    except ValueError:
        raise UserError(f"--trials is {trials!r}; write numbers such as 0,3,5") from None
    complete = study.trials.loc[study.trials["state"] == "complete", "number"].tolist()
    for number in numbers:
        if number not in complete:
            raise UserError(
                f"trial {number} is not complete; choose of {', '.join(map(str, complete)) or 'none yet'}"
            )
    return list(dict.fromkeys(numbers))


def confirm_and_show(
    directory: Path,
    numbers: Sequence[int],
    seeds: int,
    *,
    refit: bool = False,
    address: str = "",
    storage_url: str = "",
) -> int:
    """Confirm trials as `confirm` does, print the table, and return the exit code of the process."""
    interrupt = Interrupt(math.inf, faults=lambda: "")
    try:
        confirm(directory, numbers, seeds, interrupt, refit=refit, address=address, storage_url=storage_url)
    except InterruptedBatchError:
        say(f"{interrupt.reason}; the same command goes on from there")
        return interrupt.code
    study = results.load(directory)
    frame = results.confirmed(study)
    for column in ("validation", "mean", "sd", "low", "high"):
        frame[column] = [format_metric(*pair) for pair in zip(frame["objective"], frame[column], strict=True)]
    print_table(frame, f"{study.name}: on the test split")
    return 0


@faults_as_user_errors()
def confirm(
    directory: Path,
    numbers: Sequence[int],
    seeds: int,
    interrupt: Interrupt,
    *,
    refit: bool = False,
    address: str = "",
    storage_url: str = "",
) -> None:
    """Retrain the trials `numbers` with seeds 1 to `seeds` above the study's own, and measure and examine them.

    What was confirmed before is not trained or measured again.

    Raises:
        UserError: A training fails, or another driver runs the study.
        InterruptedBatchError: `interrupt` says so.
    """
    request = Request.read(directory)
    url = directories.record_url(request, directory, storage_url)
    with Record.open(url, request.name, request.objectives) as record, Lease(directory, record) as lease:
        if request.init == "float":  # maps are compared with those of this model
            start_model.check(request, directory, record)
        directories.remove_temporary(directory)
        known = record.attributes().get(CONFIRMATIONS, [])
        done = {(entry["trial"], entry["seed"], entry["refit"]) for entry in known}
        fresh = range(request.seed + 1, request.seed + 1 + seeds)
        wanted = [(n, seed) for n in numbers for seed in fresh if (n, seed, refit) not in done]
        if wanted:
            request.check_files()
            request.check_test_masks()
            with connected(address, request.workers) as cluster, interrupt.catching_signals():
                cluster.workers(request.workers, request.gpus_per_trial)
                check_importable(request.fixed.get("model", ""))
                _retrain(request, directory, record, lease.token, wanted, refit, interrupt.stop_all)
        with interrupt.catching_signals():
            _examine(request, directory, numbers, interrupt.stop_all)
        directories.write_results(request, directory, record)


def _retrain(
    request: Request,
    directory: Path,
    record: Record,
    token: str,
    wanted: Sequence[tuple[int, int]],
    refit: bool,
    stop: Callable[[], bool],
) -> None:
    """Train each wanted pair of a trial and a seed, and look at the test split."""
    trials = record.trials(request.epochs)
    params = {trial.number: trial.params for trial in trials}
    patience = Patience.of(request, trials)
    starts = _starts(request, directory, token, sorted({seed for _, seed in wanted}), refit, stop, patience)
    jobs = [
        _job(request, directory, token, f"{number}-{seed}{_suffix(refit)}",
             request.flat(params[number]) | {"seed": seed, "refit": refit}, starts.get(seed))
        for number, seed in wanted
    ]  # fmt: skip
    _train(jobs, request, stop, patience)
    for (number, seed), job in zip(wanted, jobs, strict=True):
        now = datetime.now(UTC).isoformat(timespec="seconds")
        look = {"trial": number, "seed": seed, "time": now}
        record.set_attribute(TEST_READS, [*record.attributes().get(TEST_READS, []), look])
        metrics = trainables.test_metrics(job.directory / layout.CHECKPOINT_FILE)
        confirmation = Confirmation(
            trial=number, seed=seed, refit=refit, metrics=metrics, time=now, digest=""
        )
        confirmation["digest"] = confirmation_digest(confirmation)
        record.set_attribute(CONFIRMATIONS, [*record.attributes().get(CONFIRMATIONS, []), confirmation])


def _examine(request: Request, directory: Path, numbers: Sequence[int], stop: Callable[[], bool]) -> None:
    """Write faithfulness.json and removal.csv for each trial that still has its model but not these files."""
    reference = directory / INIT_DIR / layout.CHECKPOINT_FILE if request.init == "float" else None
    if reference and not reference.exists():
        say(f"no float model at {reference}, so maps are not compared with its; study.resume trains it again")
        reference = None
    for number in numbers:
        run = directory / TRIALS_DIR / str(number)
        if (run / layout.FAITHFULNESS_FILE).exists() or not (run / layout.CHECKPOINT_FILE).exists():
            continue
        if stop():
            raise InterruptedBatchError
        say(f"examining the maps of trial {number}")
        found = trainables.examine(run / layout.CHECKPOINT_FILE, reference=reference)
        found.write(run)
        if not found.metrics["sanity_passed"]:
            say(f"trial {number}: the maps hardly change when the weights are drawn anew; do not trust them")


def _starts(
    request: Request,
    directory: Path,
    token: str,
    seeds: Sequence[int],
    refit: bool,
    stop: Callable[[], bool],
    patience: Patience,
) -> dict[int, StartModel]:
    """Train the model of --init of each seed, if trials of the study start from one."""
    configs = {seed: config for seed in seeds if (config := request.start(seed))}
    jobs = {
        seed: _job(
            request, directory, token, f"init-{seed}{_suffix(refit)}", config.flat() | {"refit": refit}
        )
        for seed, config in configs.items()
    }
    _train(list(jobs.values()), request, stop, patience)
    models = {seed: job.directory / layout.CHECKPOINT_FILE for seed, job in jobs.items()}
    return {seed: StartModel.at(model) for seed, model in models.items()}


def _suffix(refit: bool) -> str:
    return "-refit" if refit else ""


def _job(
    request: Request,
    directory: Path,
    token: str,
    name: str,
    flat: dict[str, Any],
    start: StartModel | None = None,
) -> Job:
    study = directory.absolute()
    return Job(
        number=-1,
        flat=flat | (start.settings if start else {}),
        directory=study / DIRECTORY / name,
        study=study,
        token=token,
        data=request.fingerprint,
        inputs=request.inputs,
        weights=start.weights if start else "",
    )


def _train(jobs: list[Job], request: Request, stop: Callable[[], bool], patience: Patience) -> None:
    def tell_end(job: Job, report: Report) -> None:
        if report.last or report.error is not None:
            say(f"{job.directory.name} has ended")

    if not jobs:
        return
    names = ", ".join(job.directory.name for job in jobs)
    say(f"training {names} (trial-seed) for {request.epochs} epochs each")
    reports = run_all(jobs, train, request.gpus_per_trial, stop, patience, tell_end)
    for job, report in zip(jobs, reports, strict=True):
        if report.notice:
            say(report.notice)
        if report.error:
            raise UserError(f"{job.directory.name} failed: {report.error}; see {job.directory / 'log.txt'}")
        run_folder.check_model(
            job.directory / layout.CHECKPOINT_FILE, trainables.Config.parse(job.flat), job.data
        )
