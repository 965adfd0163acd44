"""A list of given configurations, trained to their end under Ray: no sampler, no scheduler, no record."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from study.execution.cluster import keep_to_given_gpus
from study.execution.worker import Job, Report, Train, reports

RETRIES = 2
"""How often a run whose worker died is resumed from its checkpoint."""
DEATHS = (NodeDiedError, OutOfMemoryError, WorkerCrashedError)


class InterruptedBatchError(Exception):
    """The batch was stopped before its end; run it again to continue it."""


def run_all(
    jobs: Sequence[Job],
    train: Train,
    gpus_per_trial: float,
    stop: Callable[[], bool],
    told: Callable[[Job], None] = lambda job: None,
) -> list[Report]:
    """Train all jobs to their end; a connected Ray runs as many at a time as fit.

    A job whose directory holds a finished run is not trained again, an unfinished one is continued. One whose worker
    dies more than `RETRIES` times ends with an error.

    Args:
        jobs: What to train.
        train: How.
        gpus_per_trial: GPUs of each run, a share of one or several.
        stop: Asked about twice per second whether to stop.
        told: Called with each job that has ended.

    Returns:
        The last report of each job, in the order of `jobs`.

    Raises:
        InterruptedBatchError: `stop` returned true before all had ended.
    """
    # without retries of Ray's own, which never end when memory runs low
    task = ray.remote(num_cpus=1, num_gpus=gpus_per_trial, max_retries=0)(_last_report)
    running = {task.remote(job, train): number for number, job in enumerate(jobs)}
    deaths: Counter[int] = Counter()
    last: dict[int, Report] = {}
    while running:
        ended, _ = ray.wait(list(running), timeout=0.5)
        for future in ended:
            number = running.pop(future)
            try:
                last[number] = ray.get(future)
            except DEATHS as error:
                deaths[number] += 1
                if deaths[number] <= RETRIES:
                    running[task.remote(jobs[number], train)] = number
                else:
                    reason = str(error).partition("\n")[0]
                    last[number] = Report(error=f"its worker died {deaths[number]} times; last: {reason}")
            if number in last:
                told(jobs[number])
        if running and stop():
            for future in running:
                ray.cancel(future, force=True)
            raise InterruptedBatchError
    return [last[number] for number in range(len(jobs))]


def _last_report(job: Job, train: Train) -> Report:
    keep_to_given_gpus()
    *others, last = reports(job, train)
    notice = next((report.notice for report in (*others, last) if report.notice), "")
    return replace(last, notice=notice)
