"""The precision of a step."""

import platform

import pytest
import torch

from trainables import Config
from trainables.training.optimiser import has_bfloat16
from trainables.training.run import Run, epochs

Settings = dict[str, object]


def test_bfloat16_is_for_processors_that_multiply_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    if platform.machine() in ("x86_64", "AMD64"):
        for native in (False, True):
            monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda native=native: native)
            assert has_bfloat16(cpu) == native
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert not has_bfloat16(cpu)


def test_a_users_parameter_is_no_quantisers_whatever_its_name(settings: Settings) -> None:
    config = Config.parse(settings | {"model": "tests.trainables.models.nets:OwnNames"})
    run = Run(config)
    theta, steps, alphas, _ = (group["params"] for group in run.optimizer.param_groups)
    assert any(parameter is run.model.gate.alpha for parameter in theta)
    assert len(alphas) == len(config.a_bits)
    assert len(steps) == len(config.w_bits)


def test_bfloat16_and_float32_agree_on_the_first_loss(settings: Settings) -> None:
    first = {}
    for precision in ("float32", "bfloat16"):
        metrics = next(epochs(Config.parse(settings | {"precision": precision, "epochs": 1}))).metrics
        first[precision] = metrics["train_loss"]
    assert first["bfloat16"] == pytest.approx(first["float32"], rel=0.05)
