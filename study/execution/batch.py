"""A list of given configurations, trained to their end under Ray: no sampler, no scheduler, no record."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from study.execution.cluster import keep_to_given_gpus
from study.execution.patience import Patience
from study.execution.ray_internals import kill_process
from study.execution.worker import Job, Report, Train, reports
from study_common.output import say

RETRIES = 2
"""How often a run whose worker died is resumed from its checkpoint."""
DEATHS = (NodeDiedError, OutOfMemoryError, WorkerCrashedError)


class InterruptedBatchError(Exception):
    """The batch was stopped before its end; run it again to continue it."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The first thing that a worker says of a run: where it trains."""

    node: str
    process: int


def run_all(
    jobs: Sequence[Job],
    train: Train,
    gpus_per_trial: float,
    stop: Callable[[], bool],
    patience: Patience,
    ended: Callable[[Job], None] = lambda job: None,
    tell: Callable[[str], None] = say,
) -> list[Report]:
    """Train all jobs to their end; a connected Ray runs as many at a time as fit.

    A job whose directory holds a finished run is not trained again, an unfinished one is continued. One whose worker
    dies more than `RETRIES` times ends with an error.

    Args:
        jobs: What to train.
        train: How.
        gpus_per_trial: GPUs of each run, a share of one or several.
        stop: Asked about twice per second whether to stop.
        patience: How long a run may show no progress; the worker of one that is overdue is killed.
        ended: Called with each job that has ended.
        tell: Called with what the user should know.

    Returns:
        The last report of each job, in the order of `jobs`.

    Raises:
        InterruptedBatchError: `stop` returned true before all had ended.
    """
    batch = _Batch(jobs, train, gpus_per_trial, patience)
    while batch.streams:
        for number in batch.next_ended():
            ended(jobs[number])
        for number in batch.overdue():
            tell(f"{jobs[number].directory.name}: {patience.reason()}")
            batch.kill(number)
        if batch.streams and stop():
            batch.cancel()
            raise InterruptedBatchError
    return [batch.last[number] for number in range(len(jobs))]


class _Batch:
    """The runs of a batch, each a stream of what its worker says."""

    def __init__(self, jobs: Sequence[Job], train: Train, gpus_per_trial: float, patience: Patience) -> None:
        # without retries of Ray's own, which never end when memory runs low
        options = {"num_cpus": 1, "num_gpus": gpus_per_trial, "max_retries": 0, "num_returns": "streaming"}
        self._task = ray.remote(**options)(_reports)  # type: ignore[call-overload]
        self._jobs, self._train, self._patience = jobs, train, patience
        self._deaths: Counter[int] = Counter()
        self._begun: dict[int, Begun] = {}
        self.last: dict[int, Report] = {}
        self.streams: dict[int, Any] = {}
        for number in range(len(jobs)):
            self._start(number)

    def _start(self, number: int) -> None:
        self.streams[number] = self._task.remote(self._jobs[number], self._train)

    def next_ended(self) -> Iterator[int]:
        """Wait half a second for what the workers say; the numbers of the jobs that have ended by it."""
        ready, _ = ray.wait(list(self.streams.values()), timeout=0.5)
        for number in [n for n, stream in self.streams.items() if any(stream is one for one in ready)]:
            if self._has_ended(number):
                yield number

    def _has_ended(self, number: int) -> bool:
        """Take the next thing that the worker of a job says; whether the job has ended."""
        try:
            self._take(number, ray.get(next(self.streams[number])))
            return False
        except StopIteration:
            self._drop(number)
            return True
        except DEATHS as error:
            self._drop(number)
            self._deaths[number] += 1
            if self._deaths[number] <= RETRIES:
                self._start(number)
                return False
            last = str(error).partition("\n")[0]
            self.last[number] = Report(error=f"its worker died {self._deaths[number]} times; last: {last}")
            return True

    def _take(self, number: int, said: Begun | Report) -> None:
        if isinstance(said, Begun):
            self._begun[number] = said
            self._patience.started(str(number))
            return
        self._patience.reported(str(number), said.seconds, is_new=said.is_new)
        earlier = self.last.get(number)
        self.last[number] = replace(said, notice=said.notice or (earlier.notice if earlier else ""))

    def _drop(self, number: int) -> None:
        del self.streams[number]
        self._patience.ended(str(number))

    def overdue(self) -> list[int]:
        """Return the numbers of the jobs that show no progress."""
        return [int(name) for name in self._patience.overdue()]

    def kill(self, number: int) -> None:
        """Kill the worker of a job, which is resumed as if it had died."""
        self._patience.ended(str(number))
        kill_process(self._begun[number].node, self._begun[number].process)

    def cancel(self) -> None:
        """End all that runs."""
        for stream in self.streams.values():
            ray.cancel(stream, force=True)


def _reports(job: Job, train: Train) -> Iterator[Begun | Report]:
    keep_to_given_gpus()
    yield Begun(node=ray.get_runtime_context().get_node_id(), process=os.getpid())
    yield from reports(job, train)
