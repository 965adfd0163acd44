"""Models that nobody should write: each trains and is counted rightly, or is one clear error before the first step."""

import math

import pytest
import torch

from study_common.errors import NonFiniteError, UserError
from tests.trainables.models.nets import MACS, SAME
from trainables import Config
from trainables.models.catalogue import build
from trainables.quantisation.quantisers import Pact, calibrate, quantise
from trainables.training import checks
from trainables.training.run import Run, epochs

Settings = dict[str, object]
NETS = "tests.trainables.models.nets:"
WIDTHS = dict.fromkeys(("conv2", "fc1", "fc2"), 4)
WORK = {"Plain": MACS, "same": MACS + SAME, "ManyNorms": MACS + 12 * 12 * 4 * 4, "OwnNames": MACS}
"""Each unusual model that works, and its multiply-accumulates by hand."""
REFUSED: dict[str, tuple[Settings, str]] = {
    "CalledTwice": ({}, "calls its layer conv2 2 times.* give each call a layer"),
    "FunctionOfAWeight": ({}, "never calls its layer fc1.* call the layer instead"),
    "OnePixel": ({"attribution": "grad_cam"}, "choose another attribution"),
    "HardSigmoidCall": ({"lambda2": 1e-3}, "set lambda2=0"),
    "Transposed": ({}, "neither quantised nor counted"),
}
DIVERGED = {(1e30, "lsq", "paper_cnn"), (1e30, "lsq", "small_cnn"), (1e30, "affine", "paper_cnn")}
"""Which runs of a step far too long end in NonFiniteError; BatchNorm keeps the other in finite numbers."""


@pytest.mark.parametrize("lambda2", [0.0, 1e-3])
@pytest.mark.parametrize("kind", WORK)
def test_an_unusual_model_trains_and_is_counted(kind: str, lambda2: float, settings: Settings) -> None:
    config = Config.parse(settings | {"model": NETS + kind, "epochs": 1, "lambda2": lambda2})
    (epoch,) = epochs(config)
    assert all(map(math.isfinite, epoch.metrics.values()))
    assert epoch.metrics["macs"] == WORK[kind]
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
    kind: str, bits: int, settings: Settings
) -> None:
    changes, says = REFUSED[kind]
    config = Config.parse(settings | {"model": NETS + kind, "bits": bits} | changes)
    with pytest.raises(UserError, match=says):
        checks.check_run(config)
    with pytest.raises(UserError, match=says):
        Run(config)


@pytest.mark.parametrize("kind", ["CalledTwice", "FunctionOfAWeight"])
def test_calibration_refuses_what_it_could_not_fit(kind: str) -> None:
    """A model of one's own, quantised by hand; before, one input kept the range of another, or no quantiser."""
    says = REFUSED[kind][1]
    model = build(NETS + kind, channels=3, size=16, classes=3)
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
