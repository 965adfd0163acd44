"""The randomisation check against plain autograd, and on maps that ignore the weights."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from trainables.audit.sanity_check import LIMIT, cascade, redraw
from trainables.training.config import Config
from trainables.training.evaluation import choose
from trainables.training.run import Run


@pytest.fixture(scope="module")
def run():
    torch.set_num_threads(1)
    return Run(Config.parse({"bits": 4, "epochs": 1}))


def test_redrawing_layer_by_layer_ends_at_the_maps_of_the_new_weights(run):
    X = run.scale(choose(run.data.validation, 8).images)
    target = run.model.eval()(X).argmax(1)
    fresh = redraw(run.config, run.data)
    found = cascade(run.model, fresh, X, target, method="gradient")
    assert list(found) == ["fc2", "fc1", "conv2", "conv1"]
    before, after = ([], [])
    for model, maps in ((run.model, before), (fresh, after)):
        images = X.clone().requires_grad_()
        model(images).gather(1, target[:, None]).sum().backward()
        maps.extend(images.grad[:, 0].abs().flatten(1).numpy())
    expected = np.mean([spearmanr(a, b).statistic for a, b in zip(before, after, strict=True)])
    assert found["conv1"] == pytest.approx(expected, abs=1e-3)
    assert found["conv1"] < LIMIT


def test_maps_that_ignore_the_weights_fail_the_check(run):
    """Weights "redrawn" to what they were stand for a method that does not look at them."""
    X = run.scale(choose(run.data.validation, 8).images)
    unchanged = cascade(run.model.eval(), run.model, X, torch.zeros(8, dtype=torch.long), method="gradient")
    assert all(found == pytest.approx(1, abs=1e-5) for found in unchanged.values())
