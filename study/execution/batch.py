"""A list of jobs, done to their end by workers under Ray: no sampler, no scheduler, no record."""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

from study.execution.cluster import keep_to_given_gpus
from study.execution.patience import Patience
from study.execution.ray_internals import kill_process
from study.execution.worker import Job, Report, Train, reports
from study_common.output import say

RETRIES = 2
"""How often a job whose worker died is done again."""
DEATHS = (WorkerCrashedError, OutOfMemoryError, NodeDiedError)

Item = TypeVar("Item")
Said = TypeVar("Said")


class InterruptedBatchError(Exception):
    """The batch was stopped before its end; run it again to continue it."""


@dataclass(frozen=True, kw_only=True)
class Begun:
    """The first thing that a worker says of a job: where it does it."""

    node: str
    process: int


@dataclass(frozen=True, kw_only=True)
class Failed:
    """The last thing that is said of a job that cannot be done: why, in a sentence."""

    reason: str


def run_all(
    jobs: Sequence[Job],
    train: Train,
    gpus_per_trial: float,
    stop: Callable[[], bool],
    patience: Patience,
    reported: Callable[[Job, Report], None] = lambda job, report: None,
    tell: Callable[[str], None] = say,
) -> list[Report]:
    """Train all jobs to their end; a connected Ray runs as many at a time as fit.

    A run whose worker dies is resumed from its checkpoint, `RETRIES` times at most; the report of one that died more
    often has the error.

    Args:
        jobs: What to train.
        train: How.
        gpus_per_trial: GPUs of each run, a share of one or several.
        stop: Asked about twice per second whether to stop.
        patience: How long a run may show no progress; the worker of one that is overdue is killed.
        reported: Called with every report of each job.
        tell: Called with what the user should know.

    Returns:
        The last report of each job, in the order of `jobs`.

    Raises:
        InterruptedBatchError: `stop` returned true before all had ended.
    """
    last: dict[int, Report] = {}
    names = [job.directory.name for job in jobs]
    work = partial(reports, train=train)
    for number, said in do_all(jobs, work, gpus_per_trial, stop, patience, names, tell):
        report = Report(error=said.reason) if isinstance(said, Failed) else said
        if report.error is None:
            patience.reported(names[number], report.seconds, is_new=report.is_new)
        earlier = last.get(number, report)
        last[number] = replace(report, notice=report.notice or earlier.notice)
        reported(jobs[number], report)
    return [last[number] for number in range(len(jobs))]


def do_all(
    items: Sequence[Item],
    work: Callable[[Item], Iterator[Said]],
    gpus: float,
    stop: Callable[[], bool],
    patience: Patience,
    names: Sequence[str],
    tell: Callable[[str], None] = say,
) -> Iterator[tuple[int, Said | Failed]]:
    """Let workers do all items, and yield what they say as it comes, each with the index of its item.

    An item whose worker dies is done again from its beginning, `RETRIES` times at most; then a `Failed` is yielded.

    Args:
        items: What to do.
        work: Does one item, on a worker.
        gpus: GPUs of each item, a share of one or several.
        stop: Asked about twice per second whether to stop.
        patience: How long a worker may say nothing; that of an overdue item is killed.
        names: What the user and `patience` know each item by, all different.
        tell: Called with what the user should know.

    Raises:
        InterruptedBatchError: `stop` returned true before all had ended.
    """
    batch = _Batch(items, work, gpus, patience, names)
    try:
        while batch.streams:
            yield from batch.heard()
            for name in patience.overdue():
                tell(f"{name}: {patience.reason()}")
                batch.kill(names.index(name))
            if batch.streams and stop():
                raise InterruptedBatchError
    finally:
        batch.cancel()


class _Batch(Generic[Item, Said]):
    """The items of a batch that are not done, each a stream of what its worker says."""

    def __init__(
        self,
        items: Sequence[Item],
        work: Callable[[Item], Iterator[Said]],
        gpus: float,
        patience: Patience,
        names: Sequence[str],
    ) -> None:
        options = {
            "num_cpus": 1,
            "num_gpus": gpus,
            "max_retries": 0,  # Ray's own would never end when memory runs low
            "num_returns": "streaming",
            # A worker goes on when it was heard: one that froze before its first word would be waited for without end.
            "_generator_backpressure_num_objects": 1,
        }
        self._task = ray.remote(**options)(_done)  # type: ignore[call-overload]
        self._items, self._work, self._patience, self._names = items, work, patience, names
        self._deaths: Counter[int] = Counter()
        self._begun: dict[int, Begun] = {}
        self.streams: dict[int, Any] = {}
        for number in range(len(items)):
            self._start(number)

    def _start(self, number: int) -> None:
        self.streams[number] = self._task.remote(self._items[number], self._work)

    def heard(self) -> Iterator[tuple[int, Said | Failed]]:
        """Wait half a second for what the workers say."""
        ready, _ = ray.wait(list(self.streams.values()), timeout=0.5)
        for number in [n for n, stream in self.streams.items() if any(stream is one for one in ready)]:
            try:
                said = ray.get(next(self.streams[number]))
            except StopIteration:
                self._drop(number)
            except DEATHS as error:
                self._drop(number)
                self._deaths[number] += 1
                if self._deaths[number] <= RETRIES:
                    self._start(number)
                else:
                    last = str(error).partition("\n")[0]
                    yield number, Failed(reason=f"its worker died {self._deaths[number]} times; last: {last}")
            else:
                if isinstance(said, Begun):
                    self._begun[number] = said
                    self._patience.started(self._names[number])
                else:
                    yield number, said

    def _drop(self, number: int) -> None:
        del self.streams[number]
        self._patience.ended(self._names[number])

    def kill(self, number: int) -> None:
        """Kill the worker of an item, which is done again as if it had died."""
        self._patience.ended(self._names[number])
        kill_process(self._begun[number].node, self._begun[number].process)

    def cancel(self) -> None:
        """End all that runs."""
        for number, stream in list(self.streams.items()):
            ray.cancel(stream, force=True)
            self._drop(number)


def _done(item: Item, work: Callable[[Item], Iterator[Said]]) -> Iterator[Begun | Said]:
    keep_to_given_gpus()
    yield Begun(node=ray.get_runtime_context().get_node_id(), process=os.getpid())
    yield from work(item)
