"""The metrics of a model against counting by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from study_common import layout
from study_common.errors import NonFiniteError
from trainables.models.catalogue import build
from trainables.saliency.suite import OBJECTIVE
from trainables.training.config import Config
from trainables.training.evaluation import _masked, choose, evaluate, measure_faithfulness
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
    with pytest.raises(NonFiniteError, match="gradient maps of 250 of 250"):
        run.measure(1)


def test_the_end_of_a_run_looks_at_more_images_than_a_rung_and_they_have_the_same_scores():
    run = Run(Config.parse({"model": "tiny_cnn"}))
    split = run.data.validation
    end, rung = (
        measure_faithfulness(run.model, split, run.data, run.scale, run.config, whole_suite=whole)
        for whole in (True, False)
    )
    assert (len(end.each), len(rung.each)) == (250, 100)
    others = [found for name, found in end.by_removal.items() if name not in OBJECTIVE]
    controls = [found for removals in end.controls.values() for found in removals.values()]
    assert {len(found.each) for found in (*others, *controls)} == {50}
    # The images of a rung are among those of the end, and the maps of an image do not depend on the others.
    of_end, of_rung = choose(split, 250).images, choose(split, 100).images
    places = [int((of_end == image).flatten(1).all(1).nonzero()[0]) for image in of_rung]
    torch.testing.assert_close(end.each[places], rung.each, atol=1e-5, rtol=0)


def test_no_step_of_the_masked_pass_mixes_devices(trained):
    """A device of shapes alone stands for a GPU: all goes well until a value is asked for."""
    config = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)[1]
    data, elsewhere = data_of(config), torch.device("meta")
    model = build("paper_cnn", channels=1, size=28, classes=10).to(elsewhere)
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta tensors"):
        _masked(model, data.validation, scale_of(data, elsewhere), config)
