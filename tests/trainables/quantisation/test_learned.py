"""What the quantisers learned, by layer, and which layers are cut off."""

import pytest
import torch
from torch import nn

from trainables.models.catalogue import PaperCNN
from trainables.quantisation.learned import collapsed_inputs, dead_inputs, learned
from trainables.quantisation.quantisers import FLOOR, calibrate, quantise

IMAGES = torch.rand(8, 1, 12, 12, generator=torch.Generator().manual_seed(0))


def network(alpha: float, weight_quantiser: str = "lsq") -> nn.Module:
    torch.manual_seed(0)
    model = PaperCNN(1, 12, 3)
    widths = {"w_bits": {"conv1": 2, "fc1": 4}, "a_bits": {"conv2": 4, "fc1": 4}}
    quantise(model, **widths, weight_quantiser=weight_quantiser, alpha=alpha, norms={})
    calibrate(model, IMAGES)
    return model


def test_levels_and_steps_stand_by_their_layers() -> None:
    model = network(2.0)
    found = learned(model)
    assert list(found) == ["alpha.conv2", "alpha.fc1", "step.conv1", "step.fc1"]
    assert found["alpha.conv2"] == 2.0
    steps = model.conv1.parametrizations.weight[0].log_step.exp()
    assert found["step.conv1"] == pytest.approx(steps.log().mean().exp().item())
    assert list(learned(network(2.0, "affine"))) == ["alpha.conv2", "alpha.fc1"]


def test_an_input_that_is_one_constant_is_dead() -> None:
    assert dead_inputs(network(2.0), IMAGES) == []
    assert dead_inputs(network(1e30), IMAGES) == ["conv2", "fc1"]
    model = network(2.0)
    nn.init.constant_(model.conv2.bias, -100)  # behind its ReLU nothing is left
    assert dead_inputs(model.train(), IMAGES) == ["fc1"]
    assert model.training


def test_a_level_at_its_lower_bound_has_collapsed() -> None:
    model = network(2.0)
    assert collapsed_inputs(model) == []
    nn.init.constant_(model.fc1.input_quantiser.alpha, FLOOR)
    assert collapsed_inputs(model) == ["fc1"]
