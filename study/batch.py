"""A list of given configurations, trained to their end under Ray: no sampler, no scheduler, no record."""

from collections.abc import Callable, Sequence

import ray

from study.worker import Job, Report, Train, reports

RETRIES = 2
"""How often a run whose worker died is taken up again from its checkpoint."""


class InterruptedBatchError(Exception):
    """The batch was stopped before its end; run it again to continue it."""


def run_all(
    jobs: Sequence[Job], train: Train, gpus_per_trial: float, stop: Callable[[], bool] = lambda: False
) -> list[Report]:
    """Return the last report of each job, in order, once all have ended; a connected Ray runs as many as fit.

    A job whose directory holds a finished run is not trained again, an unfinished one is continued. Raises
    `InterruptedBatchError` when `stop` says so, and what Ray raises if a worker dies more than `RETRIES` times.
    """
    task = ray.remote(num_cpus=1, num_gpus=gpus_per_trial, max_retries=RETRIES)(_last_report)
    futures = [task.remote(job, train) for job in jobs]
    waiting = futures
    while waiting:
        _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=0.5)
        if waiting and stop():
            for future in waiting:
                ray.cancel(future, force=True)
            raise InterruptedBatchError
    return ray.get(futures)


def _last_report(job: Job, train: Train) -> Report:
    *_, last = reports(job, train)
    return last
