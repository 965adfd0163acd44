"""Everything that reaches into private parts of Ray. Each use has a test that fails when a new release breaks it.

Seen in Ray 2.60: Tune knows no `OutOfMemoryError`, so that one worker that takes too much would end the whole study;
and Ray cannot end a worker that does not answer, such as a frozen one.
"""

import os
import signal
from contextlib import suppress
from typing import Any

import ray
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
    """Kill the process that trains `trial`, on whatever machine, also if it is frozen; to Tune its worker died."""
    actor = trial.temporary_state.ray_actor
    if actor is None:
        return
    about = actors(actor._actor_id.hex())
    node, process = about["Address"]["NodeID"], int(about["Pid"])
    if node == ray.get_runtime_context().get_node_id():
        _kill(process)
        return
    there: Any = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(_kill).remote(process)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def gcs_address() -> str:
    """Return host and port of the control service of the connected Ray."""
    return str(ray.get_runtime_context().gcs_address)
