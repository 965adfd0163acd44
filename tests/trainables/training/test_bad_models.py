"""Models that nobody should write: each trains and is counted rightly, or is one clear error before the first step."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study_common.errors import NonFiniteError, UserError
from trainables import Config
from trainables.models import cost
from trainables.quantisation.quantisers import Pact, calibrate, quantise
from trainables.training import checks, network
from trainables.training.run import Run, epochs

Settings = dict[str, object]
MACS = 14 * 14 * 4 * 27 + 12 * 12 * 4 * 36 + 4 * 6 + 6 * 3
WIDTHS = dict.fromkeys(("conv2", "fc1", "fc2"), 4)


class Plain(nn.Module):
    """The layers' names are those of the CNN of paper B, in whose place these models stand."""

    def __init__(self, padding: str = "valid") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3)
        self.conv2 = nn.Conv2d(4, 4, 3, padding=padding)
        self.fc1, self.fc2 = nn.Linear(4, 6), nn.Linear(6, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.fc1(self.conv2(self.conv1(x)).mean((2, 3))))


class CalledTwice(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x))))
        return self.fc2(F.relu(self.fc1(self.conv2(x).mean((2, 3)))))


class FunctionOfAWeight(Plain):
    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv2(F.relu(self.conv1(x)))).mean((2, 3))
        return self.fc2(F.linear(x, self.fc1.weight, self.fc1.bias))


class OnePixel(Plain):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(3, 4, 16), nn.Conv2d(4, 4, 1)


WORK: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "no ReLU": (Plain, MACS),
    "padding=same": (partial(Plain, padding="same"), MACS + (14 * 14 - 12 * 12) * 4 * 36),
}
"""Each model, and its multiply-accumulates by hand."""
REFUSED: dict[str, tuple[Callable[[], nn.Module], Settings, str]] = {
    "one layer called twice": (CalledTwice, {}, "calls its layer conv2 2 times.* give each call a layer"),
    "a function of a weight": (FunctionOfAWeight, {}, "never calls its layer fc1.* call the layer instead"),
    "grad_cam of one pixel": (OnePixel, {"attribution": "grad_cam"}, "choose another attribution"),
}
DIVERGED = {(1e30, "lsq", "paper_cnn"), (1e30, "lsq", "small_cnn"), (1e30, "affine", "paper_cnn")}
"""Which runs of a step far too long end in NonFiniteError; BatchNorm keeps the other in finite numbers."""


@pytest.fixture
def in_place(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], nn.Module]], None]:
    """Put a model in the place of the CNN of paper B."""

    def put(make: Callable[[], nn.Module]) -> None:
        for module in (network, cost, checks):
            monkeypatch.setattr(module, "build", lambda *_, **__: make())
        for module, name in ((cost, "inventory"), (checks, "inventory"), (checks, "_explained")):
            monkeypatch.setattr(module, name, getattr(module, name).__wrapped__)  # nothing remembered

    return put


@pytest.mark.parametrize("lambda2", [0.0, 1e-3])
@pytest.mark.parametrize("kind", WORK)
def test_an_unusual_model_trains_and_is_counted(
    kind: str, lambda2: float, settings: Settings, in_place: Callable[[object], None]
) -> None:
    make, macs = WORK[kind]
    in_place(make)
    config = Config.parse(settings | {"epochs": 1, "lambda2": lambda2})
    (epoch,) = epochs(config)
    assert all(map(math.isfinite, epoch.metrics.values()))
    assert epoch.metrics["macs"] == macs
    run, seen = Run(config), {}
    for name in WIDTHS:
        run.model.get_submodule(name).register_forward_pre_hook(
            lambda _, args, name=name: seen.update({name: args[0].unique().numel()})
        )
    run.model(run.scale(run.data.train.images))
    assert all(1 < seen[name] <= 16 for name in WIDTHS)


@pytest.mark.parametrize("bits", [4, 32])
@pytest.mark.parametrize("kind", REFUSED)
def test_a_model_that_cannot_be_measured_rightly_is_refused_before_the_first_step(
    kind: str, bits: int, settings: Settings, in_place: Callable[[object], None]
) -> None:
    make, changes, says = REFUSED[kind]
    in_place(make)
    config = Config.parse(settings | {"bits": bits} | changes)
    with pytest.raises(UserError, match=says):
        checks.check_run(config)
    with pytest.raises(UserError, match=says):
        Run(config)


@pytest.mark.parametrize("kind", ["one layer called twice", "a function of a weight"])
def test_calibration_refuses_what_it_could_not_fit(kind: str) -> None:
    """A model of one's own, quantised by hand; before, one input kept the range of another, or no quantiser."""
    make, _, says = REFUSED[kind]
    model = make()
    quantise(model, w_bits={}, a_bits=WIDTHS, weight_quantiser="lsq", alpha=1.0, norms={})
    with pytest.raises(UserError, match=says):
        calibrate(model, torch.randn(2, 3, 16, 16))
    pacts = [m for m in model.modules() if isinstance(m, Pact)]
    assert not any(m._forward_pre_hooks for m in pacts)


@pytest.mark.parametrize("lr", [10.0, 1e30])
@pytest.mark.parametrize("weight_quantiser", ["lsq", "affine"])
@pytest.mark.parametrize("model", ["paper_cnn", "small_cnn"])
def test_a_step_that_is_far_too_long_ends_in_numbers_or_in_one_error(
    model: str, weight_quantiser: str, lr: float, settings: Settings
) -> None:
    changes = {
        "model": model,
        "weight_quantiser": weight_quantiser,
        "lr": lr,
        "epochs": 1,
        "precision": "float32",
    }
    run = epochs(Config.parse(settings | changes))
    if (lr, weight_quantiser, model) in DIVERGED:
        with pytest.raises(NonFiniteError, match=r"cross_entropy.* is not finite; lower lr"):
            next(run)
    else:
        assert all(map(math.isfinite, next(run).metrics.values()))
