"""A run on a device that computes beside the host: no step waits for it, and its images are there."""

from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from study_common.errors import NonFiniteError
from trainables import Config
from trainables.training import run as run_module
from trainables.training.device import arranged, resident, training_device
from trainables.training.run import READ_EVERY, Run, epochs

Settings = dict[str, object]
WAITS = torch.ops.aten._local_scalar_dense.default
"""What `.item()`, `bool(tensor)` and `float(tensor)` call: on a GPU the host waits there for all that was asked."""


class Waits(TorchDispatchMode):
    """Counts how often the host reads a value, also in the backward pass."""

    count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is WAITS
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"precision": "float32", "lambda2": 1e-4},
        {"mask": "threshold", "saliency": "label_logit", "fill": "zero"},
        {"saliency": "predicted_logit", "weight_quantiser": "affine", "optimizer": "sgd", "balance": "loss"},
        {"lambda1": 0.0, "alpha_norm": "squared", "stop_gradient": True},
    ],
)
@pytest.mark.parametrize("model", ["paper_cnn", "small_cnn"])
def test_no_step_waits_for_the_device(settings: Settings, changes: Settings, model: str) -> None:
    run = Run(Config.parse(settings | {"model": model} | changes))
    run.model.train()
    X, y = torch.randn(16, 3, 16, 16), torch.arange(16) % 3
    fill = run.scale.fill(str(changes.get("fill", "uniform")), torch.Generator().manual_seed(0))
    run.step(X, y, fill)
    with Waits() as waits:
        found = run.step(X, y, fill)
    assert waits.count == 0
    with waits:
        assert found[-1].item() > 0
    assert waits.count == 1


@pytest.fixture
def losses_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many steps each reading of the losses was for."""
    read: list[int] = []
    own = Run.losses_of

    def counted(self: Run, steps: list[torch.Tensor], number: int) -> list[float]:
        read.append(len(steps))
        return own(self, steps, number)

    monkeypatch.setattr(Run, "losses_of", counted)
    return read


def test_losses_are_read_once_in_so_many_steps(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, losses_read: list[int]
) -> None:
    assert READ_EVERY <= 50
    whole = next(epochs(Config.parse(settings | {"epochs": 1})))
    monkeypatch.setattr(run_module, "READ_EVERY", 4)
    parts = next(epochs(Config.parse(settings | {"epochs": 1})))
    assert losses_read == [6, 4, 2]
    assert parts.metrics == whole.metrics


def test_a_loss_that_is_not_finite_ends_the_run_before_the_epoch_does(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, losses_read: list[int]
) -> None:
    monkeypatch.setattr(run_module, "READ_EVERY", 2)
    with pytest.raises(NonFiniteError, match=r"epoch 1: .*cross_entropy.* is not finite"):
        next(epochs(Config.parse(settings | {"lr": 1e30})))
    assert losses_read == [2]


@pytest.mark.parametrize(
    ("cuda", "mps", "expected"),
    [(True, False, "cuda"), (False, True, "mps"), (False, False, "cpu"), (True, True, "cuda")],
)
def test_a_gpu_is_chosen_where_there_is_one(
    cuda: bool, mps: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert training_device().type == expected


def test_images_go_to_a_gpu_only_if_they_fit(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Run(Config.parse(settings)).data.train
    assert resident(split, torch.device("cpu")) is split
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (split.images.nbytes, 2**40))
    assert resident(split, torch.device("cuda")) is split


def test_a_cpu_reads_images_as_they_are() -> None:
    X = torch.rand(2, 3, 4, 4)
    assert arranged(X) is X
    there = arranged(X.to("meta"))
    assert there.is_contiguous(memory_format=torch.channels_last)
