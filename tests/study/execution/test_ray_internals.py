"""What relies on private parts of Ray. A real Ray."""

import inspect
from collections.abc import Callable

import pytest
from ray.air.execution._internal import RayActorManager
from ray.tune.execution import tune_controller

import results
import study
from study.execution import patience
from study.execution.ray_internals import ActorManager, gcs_address, install_actor_manager
from tests.study import toys


def test_tune_takes_its_actor_manager_by_the_name_that_is_replaced() -> None:
    assert "RayActorManager(resource_manager=resource_manager)" in inspect.getsource(tune_controller)
    install_actor_manager()
    assert tune_controller.RayActorManager is ActorManager  # type: ignore[attr-defined]


def test_the_method_that_is_overridden_is_called_by_tune() -> None:
    own, theirs = ActorManager._actor_task_failed, RayActorManager._actor_task_failed
    assert list(inspect.signature(own).parameters) == list(inspect.signature(theirs).parameters)
    assert "self._actor_task_failed(" in inspect.getsource(RayActorManager)


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
