"""Ray Tune's actor manager, but a worker that Ray kills because memory runs low is a worker that died.

Tune (seen in Ray 2.60) knows no such error, and one worker that takes too much would end the whole study.
"""

from ray.air.execution._internal import RayActorManager
from ray.air.execution._internal.tracked_actor_task import TrackedActorTask
from ray.exceptions import OutOfMemoryError, RayActorError


class ActorManager(RayActorManager):
    """What Tune starts and follows its workers with."""

    def _actor_task_failed(self, tracked_actor_task: TrackedActorTask, exception: Exception) -> None:
        if isinstance(exception, OutOfMemoryError):
            exception = RayActorError(error_msg=str(exception).partition("\n")[0])
        super()._actor_task_failed(tracked_actor_task, exception)
