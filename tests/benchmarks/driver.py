"""What the driver costs when a study is large: many workers, many trials, many real actors.

    python -m tests.benchmarks.driver [--json FILE] [--epoch-seconds 60] [--only NAME]

The driver is the real one, with Ray Tune's own loop, the default sampler and scheduler, and a record in SQLite. In the
first two parts its workers are simulated, in `SimulatedActors`, on a clock of their own: it goes on by the time that
the driver computes, and over the time in which nothing happens it jumps.

- busy_share_1024: the share of 1,024 workers that trains, from when all have begun to when the last trial begins. An
  epoch takes half to one and a half times `--epoch-seconds`.
- last_over_first_100k: what a trial costs the driver, the last thousand of 100,000 over the first thousand. These are
  run, the others are put into the record, most of them paused at a rung, as they would be. peak_mb_100k is the largest
  memory of the driver, with the report that it writes at its end, resume_100k_s what it took to begin.
- trials_per_s_64: trials of one epoch that trains nothing, on 64 real actors, from the first end to the last.
"""

import argparse
import heapq
import json
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import optuna
import ray
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor import TrackedActor

import study
from study.execution import driver
from study.execution.cluster import Cluster
from study.execution.worker import Job, Report
from study.store import database
from study.store.record import Record
from study_common import layout
from study_common.layout import RESULT
from tests.study import toys

SPACE = "mixed_bits"
FREE = "lambda1"
"""A parameter of it that is a number."""
EPOCHS = 9
FIRST, LAST = 1000, 1000
WARM = 100
"""Trials of each thousand that are not measured: the sampler has not seen its full window yet."""
START_S = 5.0
"""How long a worker takes to start."""


HANDLE = SimpleNamespace(get_auto_filled_metrics=SimpleNamespace(remote=lambda **_: {}))
"""What Tune takes for the handle of an actor."""

LATEST: list["SimulatedActors"] = []
"""Those of each driver that ran."""


class SimulatedActors(RayActorManager):
    """What Tune starts and follows its workers with; these train by the clock alone."""

    epoch_seconds = 60.0
    stop_after = 10**9
    """Trials that begin before the driver is asked to stop, as by Ctrl-C."""

    def __init__(self, resource_manager: Any) -> None:
        super().__init__(resource_manager)
        LATEST.append(self)
        self._actor_task_events = SimpleNamespace(resolve_future=lambda future: None)
        self._live_actors_to_ray_actors_resources: dict[TrackedActor, Any] = {}
        self._events: list[tuple[float, int, TrackedActor, Callable[[], None]]] = []
        self._cancelled: set[int] = set()
        self._tasks: dict[TrackedActor, int] = {}
        self._turn = count()
        self._pending: dict[TrackedActor, int] = {}
        self._jobs: dict[TrackedActor, tuple[Job, int]] = {}
        self._random = random.Random(0)
        self._skipped, self._started = 0.0, time.monotonic()
        self.begun: list[tuple[float, float]] = []
        """When each trial began: on the clock, and by the time that the driver has computed."""
        self.training: list[tuple[float, float]] = []
        """When each epoch began and ended, on the clock."""
        self._numbers: set[int] = set()

    def clock(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._started + self._skipped

    def next(self, timeout: float | None = None) -> bool:
        """Let the next event happen, if there is one within `timeout`."""
        while self._events and self._events[0][1] in self._cancelled:
            self._cancelled.discard(heapq.heappop(self._events)[1])
        wait = self._events[0][0] - self.clock() if self._events else float("inf")
        limit = float("inf") if timeout is None else timeout
        self._skipped += max(0.0, min(wait, limit))
        if wait > limit:
            return False
        heapq.heappop(self._events)[3]()
        return True

    def _after(self, seconds: float, actor: TrackedActor, happens: Callable[[], None]) -> int:
        turn = next(self._turn)
        heapq.heappush(self._events, (self.clock() + seconds, turn, actor, happens))
        return turn

    def add_actor(self, cls: Any, kwargs: Any, resource_request: Any, **told: Any) -> TrackedActor:
        """Start a worker."""
        actor = TrackedActor(next(self._turn), **told)
        self._take(actor, kwargs["config"])

        def starts() -> None:
            del self._pending[actor]
            self._live_actors_to_ray_actors_resources[actor] = HANDLE, None
            if actor._on_start:
                actor._on_start(actor)

        self._pending[actor] = self._after(START_S, actor, starts)
        return actor

    def _take(self, actor: TrackedActor, config: dict[str, Any]) -> None:
        job: Job = config["job"]
        self._jobs[actor] = job, job.recorded
        if not job.recorded and job.number not in self._numbers:
            self._numbers.add(job.number)
            self.begun.append((self.clock(), time.process_time()))
            if len(self.begun) == self.stop_after:
                os.kill(os.getpid(), signal.SIGINT)

    def schedule_actor_task(
        self,
        tracked_actor: TrackedActor,
        method_name: str,
        args: Any = (),
        kwargs: Any = None,
        on_result: Any = None,
        on_error: Any = None,
        _return_future: bool = False,
    ) -> Any:
        """Let a worker do something."""
        if method_name == "train":
            job, epoch = self._jobs[tracked_actor]
            seconds = self.epoch_seconds * self._random.uniform(0.5, 1.5)
            self._jobs[tracked_actor] = job, epoch + 1
            self.training.append((self.clock(), self.clock() + seconds))
            value: Any = self._result(job, epoch + 1, seconds)
        elif method_name == "reset":
            self._take(tracked_actor, args[0])
            value, seconds = True, 0.01
        else:
            return None
        self._tasks[tracked_actor] = self._after(
            seconds, tracked_actor, lambda: self._done(tracked_actor, on_result, value)
        )
        return None

    def _done(self, actor: TrackedActor, on_result: Any, value: Any) -> None:
        self._tasks.pop(actor)
        on_result(actor, value)

    def _result(self, job: Job, epoch: int, seconds: float) -> dict[str, Any]:
        metrics = toys.metrics_of(job.flat, epoch)
        noisy = {name: metrics[name] + self._random.gauss(0, 0.01) for name in ("accuracy", "faithfulness")}
        report = Report(
            epoch=epoch, last=epoch == job.flat["epochs"], seconds=seconds, is_new=True,
            metrics={**metrics, **noisy}, worker="simulated",
        )  # fmt: skip
        now = int(time.time())
        return {"report": report, "done": report.last, "training_iteration": epoch, "timestamp": now}

    def clear_actor_task_futures(self, tracked_actor: TrackedActor) -> None:
        """Forget what a worker was to do."""
        if tracked_actor in self._tasks:
            self._cancelled.add(self._tasks.pop(tracked_actor))

    def remove_actor(self, tracked_actor: TrackedActor, kill: bool = False, stop_future: Any = None) -> bool:
        """End a worker."""
        self.clear_actor_task_futures(tracked_actor)
        if tracked_actor in self._pending:
            self._cancelled.add(self._pending.pop(tracked_actor))
        if self._live_actors_to_ray_actors_resources.pop(tracked_actor, None) is None:
            return False
        self._after(
            0.0, tracked_actor, lambda: tracked_actor._on_stop and tracked_actor._on_stop(tracked_actor)
        )
        return True

    def is_actor_started(self, tracked_actor: TrackedActor) -> bool:
        """Tell whether a worker is there."""
        return tracked_actor in self._live_actors_to_ray_actors_resources

    def is_actor_failed(self, tracked_actor: TrackedActor) -> bool:
        """Return that none has failed."""
        return False

    @property
    def num_pending_actors(self) -> int:
        """How many workers start."""
        return len(self._pending)

    @property
    def num_live_actors(self) -> int:
        """How many are there."""
        return len(self._live_actors_to_ray_actors_resources)

    @property
    def num_total_actors(self) -> int:
        """How many start or are there."""
        return self.num_pending_actors + self.num_live_actors

    @property
    def num_actor_tasks(self) -> int:
        """How many do something."""
        return len(self._tasks)

    def get_live_actors_resources(self) -> dict[str, float]:
        """Return nothing."""
        return {}

    def cleanup(self) -> None:
        """Do nothing."""


@contextmanager
def simulated(workers: int, **settings: Any) -> Iterator[None]:
    """Let the driver have so many simulated workers."""

    @contextmanager
    def cluster(address: str, wanted: int) -> Iterator[Cluster]:
        yield Cluster(dashboard="", cpus=workers)

    def install() -> None:
        driver_tune.RayActorManager = type("Simulated", (SimulatedActors,), settings)  # type: ignore[attr-defined]

    from ray.tune.execution import tune_controller as driver_tune

    with (
        mock.patch.object(driver, "connected", cluster),
        mock.patch.object(driver, "install_actor_manager", install),
    ):
        yield


def busy(folder: Path, workers: int, trials: int, epoch_seconds: float) -> dict[str, float]:
    """Return how busy simulated workers are kept."""
    with simulated(workers, epoch_seconds=epoch_seconds, stop_after=trials):
        study.run_study(spec(folder, "busy", trials=10 * trials, workers=workers))
    actors = LATEST[-1]
    since, until = actors.begun[workers - 1][0] + START_S + 0.1, actors.begun[-1][0]
    trained = sum(max(0.0, min(end, until) - max(start, since)) for start, end in actors.training)
    computed = actors.begun[-1][1] - actors.begun[workers - 1][1]
    return {
        f"busy_share_{workers}": trained / (workers * (until - since)),
        f"driver_share_{workers}": computed / (until - since),
        f"trial_ms_{workers}": 1000 * computed / (trials - workers),
    }


def long_study(folder: Path, trials: int) -> dict[str, float]:
    """Return how the cost of a trial grows with their number."""
    costs = []
    with simulated(8, stop_after=FIRST):
        directory = study.run_study(spec(folder, "long", trials=trials, workers=8)).directory
        costs.append(cost())
    fill(directory, trials - FIRST - LAST)
    with simulated(8, stop_after=LAST):
        start = time.perf_counter()
        study.resume_study(directory)
        began = LATEST[-1]._started - start
        costs.append(cost())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {
        "first_ms": costs[0],
        "last_ms": costs[1],
        "last_over_first_100k": costs[1] / costs[0],
        "resume_100k_s": began,
        "peak_mb_100k": peak,
    }


def cost() -> float:
    """Return what a trial cost the driver, in ms of its process."""
    begun = [computed for _, computed in LATEST[-1].begun]
    return 1000 * (begun[-1] - begun[WARM]) / (len(begun) - 1 - WARM)


def moved(result: dict[str, Any], is_complete: bool, rng: random.Random) -> dict[str, Any]:
    """Return another result: a little better at the rungs after which the trial went on, and worse where it waits."""
    for rung in result["rungs"]:
        sign = 1 if is_complete or rung["epoch"] < result["epochs"] else -1
        for name in ("accuracy", "faithfulness"):
            rung["metrics"][name] += sign * rng.uniform(0.0, 0.02)
    result["metrics"] = result["rungs"][-1]["metrics"]
    return result


def fill(directory: Path, more: int) -> None:
    """Put `more` trials into the record: those that are there again, with another `FREE`."""
    record = directory / layout.RECORD_FILE
    objectives = list(study.Request.read(directory).objectives)
    rng = random.Random(1)
    tables = ("trials", "trial_params", "trial_values", "trial_user_attributes")
    with closing(sqlite3.connect(record)) as connection, connection:
        columns = {
            table: [row[1] for row in connection.execute(f"PRAGMA table_info({table})")] for table in tables
        }
        rows: dict[str, dict[int, list[dict[str, Any]]]] = {}
        for table in tables:
            found = connection.execute(f"SELECT * FROM {table}").fetchall()
            rows[table] = {}
            for row in found:
                named = dict(zip(columns[table], row, strict=True))
                rows[table].setdefault(named["trial_id"], []).append(named)
        ended = [key for key, (row,) in rows["trials"].items() if row["state"] in ("COMPLETE", "WAITING")]
        top, numbers = max(rows["trials"]), len(rows["trials"])
        for made in range(more):
            source, key = ended[made % len(ended)], top + 1 + made
            head = {**rows["trials"][source][0], "trial_id": key, "number": numbers + made}
            params = [{**row, "trial_id": key, "param_id": None} for row in rows["trial_params"][source]]
            for row in params:
                if row["param_name"] == FREE:
                    row["param_value"] = rng.uniform(0.1, 1.0)
            stored = {row["param_name"]: row["param_value"] for row in params}
            attributes = []
            for row in rows["trial_user_attributes"].get(source, []):
                copy = {**row, "trial_id": key, "trial_user_attribute_id": None}
                if row["key"] == RESULT:
                    result = moved(json.loads(row["value_json"]), head["state"] == "COMPLETE", rng)
                    copy["value_json"] = json.dumps(layout.sealed(result, stored))
                    attributes.append(copy)
            values = [
                {
                    **row,
                    "trial_id": key,
                    "trial_value_id": None,
                    "value": result["metrics"][objectives[row["objective"]]],
                }
                for row in rows["trial_values"].get(source, [])
            ]
            for table, new in zip(tables, ([head], params, values, attributes), strict=True):
                marks = ", ".join("?" * len(columns[table]))
                connection.executemany(
                    f"INSERT INTO {table} VALUES ({marks})", [tuple(row.values()) for row in new]
                )


def real_actors(folder: Path, actors: int, trials: int) -> dict[str, float]:
    """Return how many trials that train nothing real actors end per second."""
    ray.cloudpickle.register_pickle_by_value(toys)
    given = spec(folder, "real", trials=trials, workers=actors, epochs=1)
    directory = study.run_study(given, train=toys.toy).directory
    with Record.open(database.url_in(directory), "real", study.Request.read(directory).objectives) as record:
        ends = sorted(
            datetime.fromisoformat(trial.user_attrs[RESULT]["finished"]).timestamp()
            for trial in record.study.get_trials()
        )
    late = ends[actors:]  # all actors have begun
    return {
        f"trials_per_s_{actors}": (len(late) - 1) / (late[-1] - late[0]),
        "cpus": float(os.cpu_count() or 0),
    }


def spec(folder: Path, name: str, **given: Any) -> study.Spec:
    return study.Spec(**{"space": SPACE, "name": name, "runs_dir": str(folder), "epochs": EPOCHS, **given})


PARTS: dict[str, Callable[[Path, argparse.Namespace], dict[str, float]]] = {
    "busy": lambda folder, given: busy(folder, given.workers, given.begin, given.epoch_seconds),
    "long": lambda folder, given: long_study(folder, given.trials),
    "real": lambda folder, given: real_actors(folder, given.actors, 20 * given.actors),
}


def main() -> None:
    """Measure each part in a process of its own, and print everything."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.driver", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--epoch-seconds", type=float, default=60.0, help="of the simulated workers")
    parser.add_argument("--workers", type=int, default=1024, help="simulated workers")
    parser.add_argument("--begin", type=int, default=4000, help="trials that begin on the simulated workers")
    parser.add_argument("--trials", type=int, default=100_000, help="trials of the long study")
    parser.add_argument("--actors", type=int, default=64, help="real actors")
    parser.add_argument("--only", choices=PARTS, help="measure this part alone, in this process")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    figures: dict[str, float] = {}
    if arguments.only:
        ray.init(
            "local", num_cpus=arguments.actors if arguments.only == "real" else 1, include_dashboard=False,
            log_to_driver=False, logging_level="ERROR",
        )  # fmt: skip
        with tempfile.TemporaryDirectory() as folder:
            figures = PARTS[arguments.only](Path(folder), arguments)
        ray.shutdown()
    else:
        for part in PARTS:
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder) / "figures.json"
                words = [*sys.argv[1:], "--only", part, "--json", str(file)]
                subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.driver", *words],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )
                figures |= json.loads(file.read_text())
            if arguments.json:  # a part that fails, for want of memory, takes no other along
                arguments.json.write_text(json.dumps(figures, indent=2))
    for name, value in figures.items():
        print(f"{name:28} {value:10.3f}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
