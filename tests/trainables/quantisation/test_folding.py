"""Folded BatchNorm against the ordinary one, and against the papers' equations."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from trainables import Config
from trainables.export import main
from trainables.models.catalogue import build
from trainables.quantisation.folding import Codes, Folded, FoldedNorm, fold
from trainables.quantisation.quantisers import LSQ, Affine, calibrate, quantise, quantiser_of
from trainables.training.evaluation import validation_metrics
from trainables.training.run import epochs

SHAPE = (6, 3, 8, 8)


class Exact(nn.Module):
    """A quantiser that rounds nothing."""

    def encode(self, w: Tensor) -> Codes:
        return Codes(codes=w, step=torch.ones(len(w), 1, 1, 1), zero=0.0)

    def forward(self, w: Tensor) -> Tensor:
        return w


def test_without_rounding_it_is_the_ordinary_norm(plain: nn.Module) -> None:
    """Values, gradients and running statistics; over two steps, a second pass without statistics, and inference."""
    folded = copy.deepcopy(plain)
    fold(folded, "0", "1", Exact())
    models = (plain, folded)
    assert folded.state_dict().keys() - plain.state_dict().keys() == {"0.parametrizations.weight.original"}
    for _ in range(2):
        X = torch.randn(SHAPE)
        grads = []
        for model in models:
            with parametrize.cached():
                first = model(X)
                model[1].track_running_stats = False
                second = model(-X)
                model[1].track_running_stats = True
                (first.square().sum() + second.sum()).backward()
            weight = model[0].parametrizations.weight.original if model is folded else model[0].weight
            grads.append([first, second, weight.grad, model[1].weight.grad, model[1].bias.grad])
        for ours, theirs in zip(grads[1], grads[0], strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
        for model in models:
            torch.optim.SGD(model.parameters(), lr=0.01).step()
    for name, buffer in plain.named_buffers():
        torch.testing.assert_close(dict(folded.named_buffers())[name], buffer)
    torch.testing.assert_close(folded.eval()(X), plain.eval()(X), rtol=1e-4, atol=1e-4)


def test_a_bias_before_the_norm_is_scaled_with_the_weight() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))
    for tensor in (plain[1].weight, plain[1].running_mean):
        nn.init.uniform_(tensor, -1, 2)
    folded = copy.deepcopy(plain)
    fold(folded, "0", "1", Exact())
    X = torch.randn(SHAPE)
    torch.testing.assert_close(folded.eval()(X), plain.eval()(X))
    torch.testing.assert_close(folded.train()(X), plain.train()(X))


def test_the_weight_is_that_of_equations_4_and_5(plain: nn.Module) -> None:
    norm, W = plain[1], plain[0].weight.detach()
    folded = copy.deepcopy(plain)
    fold(folded, "0", "1", Exact())
    sigma_b = torch.rand(5) + 0.5  # whatever the batch has: it cancels
    sigma = (norm.running_var + norm.eps).sqrt()
    c = sigma_b / sigma
    corrected = (c * norm.weight / sigma_b).view(-1, 1, 1, 1) * W
    torch.testing.assert_close(folded.eval()[0].weight, corrected)


@pytest.mark.parametrize("kind", ["lsq", "affine"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_folding_the_quantised_weight_is_quantising_the_folded(
    plain: nn.Module, bits: int, kind: str
) -> None:
    with torch.no_grad():
        plain[1].weight.abs_()
    scale = (plain[1].weight / (plain[1].running_var + plain[1].eps).sqrt()).detach().view(-1, 1, 1, 1)
    W = plain[0].weight.detach() * scale
    literal = LSQ(bits, 5, 4) if kind == "lsq" else Affine(bits)
    if isinstance(literal, LSQ):
        literal.fit(W)
    quantise(plain, w_bits={"0": bits}, a_bits={}, weight_quantiser=kind, alpha=1.0, norms={"0": "1"})
    calibrate(plain, torch.randn(SHAPE))
    ours = plain.eval()[0].weight.detach()
    torch.testing.assert_close(ours, literal(W).detach())
    quantiser, original = quantiser_of(plain[0])
    assert quantiser.encode(original).weight().equal(ours)
    with torch.no_grad():
        plain[1].weight.neg_()
    assert plain[0].weight.equal(-ours)


@pytest.mark.parametrize("start", ["init", "percentile", "mse"])
def test_eight_bits_are_nearly_float_before_and_after_the_statistics_moved(start: str) -> None:
    """An untrained network's norms have seen nothing: neither its steps nor its clipping levels may hang on that."""
    torch.manual_seed(0)
    convolutions = [nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 4, 3, bias=False)]
    floats = nn.Sequential(convolutions[0], nn.BatchNorm2d(8), nn.ReLU(), convolutions[1], nn.BatchNorm2d(4))
    eight = copy.deepcopy(floats)
    folds = {"0": "1", "3": "4"}
    quantise(
        eight, w_bits=dict.fromkeys(folds, 8), a_bits={"3": 8}, weight_quantiser="lsq", alpha=6.0, norms=folds
    )
    X = torch.randn(16, 3, 12, 12) * 0.1
    for model in (floats, eight):
        calibrate(model, X, start=start)
    for _ in range(30):
        torch.testing.assert_close(eight.train()(X), floats.train()(X), atol=0.1, rtol=0)
    torch.testing.assert_close(eight.eval()(X), floats.eval()(X), atol=0.1, rtol=0)


def test_a_quantised_resnet_trains_comes_back_and_is_packed_at_its_size(
    settings: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config.parse(
        settings | {"model": "resnet18", "image_size": 64, "epochs": 1, "bits": 4, "bits.fc": 32}
    )
    epoch = next(epochs(config))
    epoch.save(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    assert validation_metrics(path) == {k: v for k, v in epoch.metrics.items() if k != "train_loss"}
    assert main([str(path), "--out", str(tmp_path / "out"), "--format", "packed"]) == 0
    file, *_, last = capsys.readouterr().out.splitlines()
    metrics = json.loads(last)
    assert Path(file).stat().st_size == metrics["size_bytes"] + metrics["header_bytes"]


def test_folds_are_found_where_they_are_asked_for() -> None:
    model = build("resnet18", channels=3, size=64, classes=4)
    fold(model, "layer1.0.conv1", "layer1.0.bn1", Exact())
    assert isinstance(model.layer1[0].bn1, FoldedNorm)
    assert isinstance(model.layer1[0].conv1.parametrizations.weight[0], Folded)
    assert sum(isinstance(module, FoldedNorm) for module in model.modules()) == 1
