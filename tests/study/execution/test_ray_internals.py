"""What relies on private parts of Ray. A real Ray."""

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from ray.air.execution._internal import RayActorManager
from ray.tune.execution import tune_controller

import results
import study
from study.execution import patience
from study.execution.ray_internals import ActorManager, gcs_address, install_actor_manager
from tests.study import toys
from tests.study.execution.test_signals import descendants


def test_tune_takes_its_actor_manager_by_the_name_that_is_replaced() -> None:
    assert "RayActorManager(resource_manager=resource_manager)" in inspect.getsource(tune_controller)
    install_actor_manager()
    assert tune_controller.RayActorManager is ActorManager  # type: ignore[attr-defined]


def test_the_method_that_is_overridden_is_called_by_tune() -> None:
    own, theirs = ActorManager._actor_task_failed, RayActorManager._actor_task_failed
    assert list(inspect.signature(own).parameters) == list(inspect.signature(theirs).parameters)
    assert "self._actor_task_failed(" in inspect.getsource(RayActorManager)


STARTED = """
import ray
from study.execution.cluster import connected
from tests.study.execution.test_ray_internals import listening

with connected("", 1):
    ray.get(ray.remote(lambda: None).remote())
    print(*listening())
"""


def listening() -> list[str]:
    """Return the addresses, as hexadecimal digits, on which this process and its children listen for TCP."""
    inodes = set()
    for process in (os.getpid(), *descendants(os.getpid())):
        with suppress(OSError):
            links = [os.readlink(path) for path in Path(f"/proc/{process}/fd").iterdir()]
            inodes |= {link[8:-1] for link in links if link.startswith("socket:[")}
    rows = [
        row.split() for name in ("tcp", "tcp6") for row in Path(f"/proc/net/{name}").read_text().splitlines()
    ]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and row[9] in inodes]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="sockets are listed there on Linux alone")
def test_a_ray_of_our_own_cannot_be_reached_from_other_machines() -> None:
    """The control service, the raylet, the workers and the metrics listened on all interfaces."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-c", STARTED]
    out = (
        subprocess.run(words, capture_output=True, text=True, check=True, env=environment)
        .stdout.splitlines()[-1]
        .split()
    )
    assert len(out) > 5
    assert set(out) <= {"0100007F", "0000000000000000FFFF00000100007F"}, "127.0.0.1, in IPv4 and in IPv6"


@pytest.mark.usefixtures("local_ray")
def test_the_control_service_has_an_address() -> None:
    host, _, port = gcs_address().rpartition(":")
    assert host
    assert port.isdigit()


@pytest.mark.usefixtures("local_ray")
def test_a_frozen_worker_is_killed_and_its_trial_resumed(
    spec_of: Callable[..., study.Spec], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It used to hold the study for ever."""
    monkeypatch.setattr(patience, "LEAST_S", 5.0)
    spec = spec_of(trials=3, workers=1, scheduler="fifo", trial_timeout=0.001)
    outcome = study.run_study(spec, train=toys.freezing)
    assert (outcome.code, outcome.reason) == (0, "")
    assert results.load(outcome.directory).trials["state"].tolist() == ["complete"] * 3
    assert "trial 1: no progress for 5 s (--trial-timeout); its worker is killed" in capsys.readouterr().out
    assert "resuming it from its checkpoint" in (outcome.directory / "trials/1/log.txt").read_text()
