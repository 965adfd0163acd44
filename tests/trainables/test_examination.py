"""Agreement, robustness and the sanity check against numpy, scipy and closed forms; the command on a checkpoint."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.stats import spearmanr
from torch import nn

from study_common import layout
from trainables.audit.agreement import TOP, agreement, rank_correlation
from trainables.audit.robustness import infidelity, max_sensitivity
from trainables.audit.sanity_check import LIMIT, cascade, redraw
from trainables.faithfulness import main
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.evaluation import choose
from trainables.training.run import Run


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def linear(scale=1.0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    model[1].weight.data *= scale
    return model


class Square(nn.Module):
    """The sum of squares of an image: an even function, whose slopes at 0 foretell nothing."""

    def forward(self, X):
        return X.square().flatten(1).sum(1, keepdim=True)


def test_agreement_of_a_map_with_itself_and_with_others():
    maps = drawn(4, 28, 28)
    assert agreement(maps, maps) == pytest.approx({"spearman": 1, "top_iou": 1, "ssim": 1}, abs=1e-5)
    others = drawn(4, 28, 28, seed=1)
    found = agreement(maps, others)
    top = [[set(np.argsort(-m.numpy(), axis=None)[: round(TOP * 784)]) for m in ms] for ms in (maps, others)]
    assert found["top_iou"] == pytest.approx(
        np.mean([len(a & b) / len(a | b) for a, b in zip(*top, strict=True)])
    )
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(maps, others, strict=True)]
    assert found["spearman"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert abs(found["ssim"]) < 0.1


def test_rank_correlation_with_equal_values_and_constants():
    coarse = (drawn(3, 12, 12) * 4).round()
    others = drawn(3, 12, 12, seed=1) + coarse / 10
    coarse[2] = 5.0
    expected = [
        spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(coarse[:2], others, strict=False)
    ]
    assert rank_correlation(coarse, others).tolist() == pytest.approx([*expected, 0.0], abs=1e-4)


def test_slopes_foretell_a_linear_model_whatever_its_scale_and_nothing_of_an_even_one():
    X, target = drawn(6, 1, 12, 12), torch.arange(6) % 3
    for scale in (1.0, 30.0):
        found = infidelity(linear(scale), X, target, method="gradient", noise=0.3)
        assert found["infidelity_share"] == pytest.approx(0, abs=1e-5)
    at_zero = infidelity(Square(), 0 * X, 0 * target, method="gradient", noise=0.3)
    assert at_zero["infidelity_share"] == 1
    # the mean of (sum of 144 squared normals of variance s^2)^2 is s^4 (144^2 + 2 * 144)
    assert at_zero["infidelity"] == pytest.approx(0.3**4 * (144**2 + 288), rel=0.1)


def test_maps_of_a_linear_model_hold_still_and_those_of_a_square_follow_the_change():
    X, target = drawn(6, 1, 12, 12), torch.zeros(6, dtype=torch.long)
    assert max_sensitivity(linear(), X, target, method="gradient", radius=0.1) == 0
    found = max_sensitivity(Square(), X, target, method="gradient", radius=0.1)
    size = (
        X.square().mean().sqrt().item()
    )  # |2 (X + I)| - |2 X| is at most 2 |I|, of root mean square 0.1 / sqrt 3
    assert found == pytest.approx(0.1 / 3**0.5 / size, rel=0.1)


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


@pytest.fixture(scope="module")
def finished(run, tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    run.curve.append({"epoch": 1, "seconds": 0.0, **run.measure(1)})
    run.save(directory)
    return directory, run.curve[-1]


def test_the_command_prints_every_figure_and_writes_the_curves(finished, tmp_path, capsys):
    directory, recorded = finished
    alone = shutil.copy(directory / layout.CHECKPOINT_FILE, tmp_path / "a.safetensors")
    code = main([str(alone), "--reference", str(alone), "--out", str(tmp_path / "out")])
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert code == 0
    assert {name: found[name] for name in recorded if name.startswith("faithfulness")} == {
        name: value for name, value in recorded.items() if name.startswith("faithfulness")
    }
    assert {"faithfulness_zero", "faithfulness_uniform_se", "infidelity", "max_sensitivity"} <= found.keys()
    assert found["sanity_spearman"] == found["sanity.conv1"]
    assert found["sanity_passed"] is (found["sanity_spearman"] < LIMIT)
    assert found["spearman"] == found["top_iou"] == 1
    assert json.loads((tmp_path / "out/faithfulness.json").read_text()) == found
    rows = pd.read_csv(tmp_path / "out/removal.csv")
    assert set(rows["fill"]) == {"mean", "zero", "uniform"}
    kept = rows[rows["fill"] == "mean"].query("fraction > 0").groupby("order")["kept"].mean()
    assert kept["lerf"] - kept["morf"] == pytest.approx(recorded["faithfulness"], abs=1e-6)
    with np.load(directory / "saliency.npz") as arrays:
        assert arrays["curve_kept"].tolist() == rows[rows["fill"] == "mean"]["kept"].tolist()


@pytest.mark.parametrize(
    "arguments", [["gone"], ["{own}", "--reference", "gone"], ["{own}", "--reference", "{other}"]]
)
def test_what_cannot_be_examined_ends_with_one_line(arguments, finished, tmp_path, capsys):
    own = finished[0] / layout.CHECKPOINT_FILE
    tensors, about = checkpoint.read(own)
    about["config"]["dataset"] = "mnist"
    checkpoint.write(tmp_path / "other.safetensors", tensors, about)
    code = main([a.format(own=own, other=tmp_path / "other.safetensors") for a in arguments])
    out, err = capsys.readouterr()
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "gone" in err or "trained on mnist" in err
