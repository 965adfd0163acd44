"""Ray: one on this machine, or a running one; its dashboard and its size."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from study.execution import keeper
from study.execution.ray_internals import on_loopback
from study_common.errors import NO_ROOM, UserError
from study_common.machine import available_cpus
from study_common.output import waiting
from trainables import Config
from trainables.choices import is_own_model


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A connected Ray."""

    dashboard: str
    """URL, "" if it runs without one."""
    cpus: int
    gpus: Sequence[int] = ()
    """The number of GPUs of each machine."""

    def workers(self, wanted: int, gpus_per_trial: float) -> int:
        """Return how many trials run at a time: `wanted`, or if that is 0 as many as fit; UserError if none fits.

        >>> Cluster(dashboard="", cpus=8, gpus=[2, 1]).workers(wanted=0, gpus_per_trial=0.6)
        3
        """
        if not self.cpus:
            raise UserError(
                "this Ray has no CPU for a trial; start it with some, or join another with --address"
            )
        fitting = min(self.cpus, self._sharing(gpus_per_trial)) if gpus_per_trial else self.cpus
        if not fitting:
            raise UserError(
                f"a trial is to have {gpus_per_trial:g} GPUs and no machine of this Ray has more than "
                f"{max(self.gpus, default=0)}; launch with a lower --gpus-per-trial, or join a Ray that has them "
                "with --address"
            )
        return min(wanted, fitting) if wanted else fitting

    def _sharing(self, gpus_per_trial: float) -> int:
        """Return how many trials the GPUs are enough for: each has a part of one, or whole ones of one machine."""
        if gpus_per_trial < 1:
            return sum(self.gpus) * int(1 / gpus_per_trial)
        return sum(int(gpus // gpus_per_trial) for gpus in self.gpus)

    def unused(self, gpus_per_trial: float) -> str:
        """Return what to do about GPUs that no trial uses, "" if there are none.

        >>> Cluster(dashboard="", cpus=8, gpus=[1]).unused(gpus_per_trial=0.0)
        'this Ray has 1 GPU and no trial uses it; --gpus-per-trial 0.5 would train two at a time on one'
        """
        count = sum(self.gpus)
        if gpus_per_trial or not count:
            return ""
        has = "1 GPU and no trial uses it" if count == 1 else f"{count} GPUs and no trial uses them"
        return f"this Ray has {has}; --gpus-per-trial 0.5 would train two at a time on one"


@contextmanager
def connected(address: str, workers: int) -> Iterator[Cluster]:
    """Join the Ray at `address`, or start one on this machine with a CPU for each of `workers` if it has them (0: all).

    A Ray that is connected already is used as it is, and stays connected. UserError if `address` cannot be joined.
    """
    if ray.is_initialized():
        yield _describe("")
        return
    options = (
        {"address": address}
        if address
        else {
            "address": "local",
            "num_cpus": workers or available_cpus(),
            "include_dashboard": True,
        }
    )
    try:
        with (
            waiting(f"for the Ray at {address}" if address else "for Ray to start on this machine"),
            nullcontext() if address else on_loopback(),
        ):
            context = ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray has no class for a node that does not start in time
        why = str(error).partition("\n")[0].rstrip(".")
        raise UserError(
            f"cannot join the Ray at {address}: {why}; start it with RAY_AUTH_MODE=token ray start --head and give "
            "this machine its ~/.ray/auth_token, or set RAY_AUTH_MODE=disabled if it runs without a token"
            if address
            else f"Ray did not start on this machine: {why}; {_remedy(error, why)}"
        ) from None
    kept = keeper.start() if address else None  # machines that join later may not see the study either
    try:
        yield _describe(context.dashboard_url)
    finally:
        del kept
        ray.shutdown()


def check_importable(model: str) -> None:
    """Check that each machine of the connected Ray can build a model that comes from the user's code or from timm.

    Raises:
        UserError: One cannot; the message says which and why.
    """
    if not is_own_model(model):
        return
    task = ray.remote(num_cpus=0, max_retries=0)(_import_error)
    places = [
        NodeAffinitySchedulingStrategy(node["NodeID"], soft=False) for node in ray.nodes() if node["Alive"]
    ]
    found = [task.options(scheduling_strategy=place).remote(model) for place in places]
    for error in filter(None, ray.get(found)):
        raise UserError(f"a worker cannot build the model {model}: {error}")


def _import_error(model: str) -> str:
    try:
        Config.parse({"model": model})
    except UserError as error:
        return str(error)
    return ""


def _remedy(error: Exception, said: str) -> str:
    """Return what helps when Ray does not start."""
    if "path length" in said or "AF_UNIX" in said:
        return "set RAY_TMPDIR to a folder with a shorter path, such as /tmp"
    if isinstance(error, PermissionError) or "Permission denied" in said:
        return "set RAY_TMPDIR, and HOME, to folders that you can write to"
    if isinstance(error, OSError) and error.errno in NO_ROOM:
        return "make room there, or set RAY_TMPDIR to a folder on another disk"
    return "if it is busy, try again with RAY_raylet_start_wait_time_s=120 in the environment"


def keep_to_given_gpus() -> None:
    """Keep this worker from the GPUs of its machine if Ray gave it none; if it gave some, Ray hides the others.

    Without that every trial would train on the first GPU, as many at a time as there are CPUs.
    """
    if not ray.get_gpu_ids():
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


def _describe(dashboard: str | None) -> Cluster:
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    return Cluster(
        dashboard=f"http://{dashboard}" if dashboard else "",
        cpus=int(sum(machine.get("CPU", 0) for machine in machines)),
        gpus=[int(machine.get("GPU", 0)) for machine in machines],
    )
