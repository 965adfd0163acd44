"""The metrics of a model against counting by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from study_common import layout
from study_common.errors import NonFiniteError
from trainables.models.catalogue import build
from trainables.training.config import Config
from trainables.training.evaluation import _masked, evaluate
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint
from trainables.training.run import Run


def test_metrics_of_the_classes_against_counting(trained):
    model, config, about = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)
    run, recorded = Run(config), about["metrics"]
    images, y = run.data.validation
    with torch.no_grad():
        p = model(run.scale(images)).double().softmax(1)
    guess, classes = p.argmax(1), range(10)
    counted = [[int(((y == a) & (guess == b)).sum()) for b in classes] for a in classes]
    found = evaluate(model, run.data.validation, run.scale, config)
    assert found.confusion.tolist() == counted
    table = pd.read_csv(trained[0] / "confusion.csv", index_col="class")
    assert list(table) == list(table.index) == list(run.data.class_names)
    assert table.to_numpy().tolist() == counted

    def ranked(c):
        """The share of pairs of an image of class c and another in which the first has the higher score."""
        mine, others = p[y == c, c][:, None], p[y != c, c]
        return ((mine > others).double() + (mine == others) / 2).mean().item()

    assert recorded["auroc"] == pytest.approx(np.mean([ranked(c) for c in classes]), abs=1e-6)
    assert recorded["sensitivity"] == pytest.approx(
        np.mean([(guess[y == c] == c).double().mean() for c in classes])
    )
    assert recorded["specificity"] == pytest.approx(
        np.mean([(guess[y != c] != c).double().mean() for c in classes])
    )


def test_maps_that_are_not_finite_end_the_run(trained):
    run = Run(Config.parse({"epochs": 1}))
    with torch.no_grad():
        run.model.fc2.weight.mul_(torch.nan)
    with pytest.raises(NonFiniteError, match="gradient maps of 100 of 100"):
        run.measure(1)


def test_no_step_of_the_masked_pass_mixes_devices(trained):
    """A device of shapes alone stands for a GPU: all goes well until a value is asked for."""
    config = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)[1]
    data, elsewhere = data_of(config), torch.device("meta")
    model = build("paper_cnn", channels=1, size=28, classes=10).to(elsewhere)
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta tensors"):
        _masked(model, data.validation, scale_of(data, elsewhere), config)
