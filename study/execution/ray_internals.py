"""Everything that reaches into private parts of Ray. Each use has a test that fails when a new release breaks it.

Seen in Ray 2.60: Tune knows no `OutOfMemoryError`, so that one worker that takes too much would end the whole study;
Ray cannot end a worker that does not answer, such as a frozen one; and on Linux it listens on all interfaces.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import ray
from ray._private import ray_constants
from ray._private.state import actors
from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError
from ray.tune.execution import tune_controller
from ray.tune.experiment import Trial
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy


class ActorManager(RayActorManager):
    """What Tune starts and follows its workers with; one that Ray kills for its memory is a worker that died."""

    def _actor_task_failed(self, tracked_actor_task: TrackedActorTask, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception).partition("\n")[0])
        super()._actor_task_failed(tracked_actor_task, exception)


def install_actor_manager() -> None:
    """Let Tune use `ActorManager`."""
    tune_controller.RayActorManager = ActorManager  # type: ignore[attr-defined]


def kill_worker(trial: Trial) -> None:
    """Kill the process that trains `trial`; to Tune its worker died."""
    actor = trial.temporary_state.ray_actor
    if actor is None:
        return
    about = actors(actor._actor_id.hex())
    kill_process(about["Address"]["NodeID"], int(about["Pid"]))


def kill_process(node: str, process: int) -> None:
    """Kill a worker's process on the machine of this node, also if it is frozen."""
    if node == ray.get_runtime_context().get_node_id():
        _kill(process)
        return
    there: Any = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_kill).remote(process)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


@contextmanager
def on_loopback() -> Iterator[None]:
    """Let a Ray that starts in the block listen on 127.0.0.1 alone, with all its processes, as on macOS it always does.

    `_node_ip_address="127.0.0.1"` and `ray start --node-ip-address` are replaced by the address of the machine.
    """
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before


def gcs_address() -> str:
    """Return host and port of the control service of the connected Ray."""
    return str(ray.get_runtime_context().gcs_address)
