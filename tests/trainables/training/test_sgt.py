"""The objective against a slow transcription of the algorithms, closed forms, and PyTorch's own double backward."""

import math
from contextlib import nullcontext

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.trainables.models.names import EACH_KIND
from trainables import Config
from trainables.models import convolution
from trainables.models.catalogue import SMALLEST, PaperCNN, build, norms, quantisable
from trainables.quantisation.quantisers import calibrate, clipping_levels, quantise
from trainables.training import sgt
from trainables.training.sgt import (
    class_weights,
    cross_entropy,
    keep,
    kl_divergence,
    losses,
    lowest,
    saliency,
    straight_through_step,
)


def network(bits: int = 4, channels: int = 1) -> nn.Module:
    torch.manual_seed(0)
    model = PaperCNN(channels, 12, 5)
    widths = {"conv1": bits, "conv2": bits, "fc1": bits, "fc2": bits}
    quantise(
        model,
        w_bits=widths,
        a_bits=dict.fromkeys(list(widths)[1:], bits),
        weight_quantiser="lsq",
        alpha=1.0,
        norms={},
    )
    calibrate(model, torch.rand(8, channels, 12, 12), start="percentile", percentile=99)
    return model


def batch(n: int = 6, channels: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(n, channels, 12, 12, generator=generator), torch.randint(5, (n,), generator=generator)


def black(like: Tensor) -> Tensor:
    return torch.zeros_like(like)


def slow_loss(model: nn.Module, X: Tensor, y: Tensor, config: Config) -> float:
    """Paper A Algorithm 2 with paper B's k: one image at a time, one pixel at a time, sums as printed."""
    total = 0.0
    for x, label in zip(X, y, strict=True):
        image = x[None].clone().requires_grad_()
        o = model(image)[0]
        loss = -o.log_softmax(0)[label]
        (S,) = torch.autograd.grad(loss, image)
        S = S[0].abs()
        size = [max(S[c, i, j].item() for c in range(len(S))) for i in range(12) for j in range(12)]
        order = sorted(range(144), key=lambda pixel: (size[pixel], pixel))
        masked = x.clone()
        for pixel in order[: round(config.mask_ratio * 144)]:
            masked[:, pixel // 12, pixel % 12] = 0
        p, q = o.softmax(0), model(masked[None])[0].softmax(0)
        kl = sum(a.item() * math.log(a.item() / b.item()) for a, b in zip(p, q, strict=True))
        total += loss.item() + config.lambda1 * kl + config.lambda2 * S.sum().item()
    alphas = [alpha.item() for alpha in clipping_levels(model)]
    norm = sum(alphas) if config.alpha_norm == "l1" else sum(a * a for a in alphas)
    return total / len(X) + config.eta * norm


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("norm", ["l1", "squared"])
def test_the_loss_is_the_papers(channels: int, norm: str) -> None:
    config = Config(lambda1=0.7, lambda2=0.01, eta=0.1, alpha_norm=norm, mask_ratio=0.3)
    model, (X, y) = network(channels=channels), batch(channels=channels)
    terms = losses(model, X, y, config=config, fill=black, alphas=clipping_levels(model))
    assert terms.total(config).item() == pytest.approx(slow_loss(model, X, y, config), rel=1e-4)


LABELS = st.lists(st.integers(0, 3), min_size=4, max_size=40).filter(lambda labels: len(set(labels)) == 4)


@given(LABELS)
def test_balanced_cross_entropy_is_the_mean_over_classes_of_each_ones_own(labels: list[int]) -> None:
    y = torch.tensor(labels)
    o = torch.randn(len(y), 4, generator=torch.Generator().manual_seed(len(y)))
    weights = class_weights(y, 4)
    assert weights[y].mean().item() == pytest.approx(1, rel=1e-5)
    own = [F.cross_entropy(o[y == c], y[y == c]).item() for c in range(4)]
    assert cross_entropy(o, y, weights).item() == pytest.approx(sum(own) / 4, rel=1e-5)
    halves = zip(
        o.chunk(2), y.chunk(2), strict=True
    )  # batches add up: a rare class is not scaled away in its own
    sums = [cross_entropy(part, label, weights).item() * len(label) for part, label in halves]
    assert sum(sums) / len(y) == pytest.approx(sum(own) / 4, rel=1e-5)


@pytest.mark.parametrize("lambda1", [0.0, 1.0])
def test_class_weights_change_the_cross_entropy_alone(lambda1: float) -> None:
    config = Config(lambda1=lambda1, lambda2=0.1 * lambda1)
    model, (X, y) = network(), batch()
    weights = torch.tensor([0.5, 3.0, 1.0, 2.0, 0.1])
    plain, weighted = (losses(model, X, y, config=config, fill=black, weights=w) for w in (None, weights))
    with torch.no_grad():
        by_hand = (weights[y] * F.cross_entropy(model(X), y, reduction="none")).mean()
    torch.testing.assert_close(weighted.cross_entropy, by_hand)
    assert not weighted.cross_entropy.equal(plain.cross_entropy)
    for term in ("kl", "saliency"):
        assert getattr(weighted, term).equal(getattr(plain, term))


@pytest.mark.parametrize("scalar", ["loss", "label_logit", "predicted_logit"])
def test_saliency_of_a_sample_does_not_depend_on_its_batch(scalar: str) -> None:
    """In float64: the last bit of float32, which hangs on the kernel of a batch's size, decides some roundings."""
    model, (X, y) = network().double(), batch()
    X = X.double().requires_grad_()
    together = saliency(model(X), X, y, scalar=scalar)
    for i in range(len(X)):
        x = X.detach()[i : i + 1].requires_grad_()
        torch.testing.assert_close(saliency(model(x), x, y[i : i + 1], scalar=scalar)[0], together[i])


def test_saliency_survives_confidence() -> None:
    """p_y - 1 rounds to 0 or to a few bits at such margins; float64 says what it should have been."""
    o = torch.tensor([[20.0, 1.0, -3.0], [30.0, 2.0, 1.0]])
    y = torch.tensor([0, 0])
    exact = o.double().softmax(1)
    exact[:, 0] = -exact[:, 1:].sum(1)
    torch.testing.assert_close(sgt.loss_cotangent(o, y).double(), exact, rtol=1e-5, atol=0)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.data())
def test_exactly_k_are_masked_and_ties_go_by_position(values: list[int], data: st.DataObject) -> None:
    k = data.draw(st.integers(0, len(values)))
    mask = lowest(torch.tensor([values], dtype=torch.float32), k)[0]
    chosen = sorted(range(len(values)), key=lambda i: (values[i], i))[:k]
    assert sorted(chosen) == mask.nonzero().flatten().tolist()


def test_one_spatial_mask_for_all_channels() -> None:
    S = torch.zeros(1, 3, 2, 2)
    S[0, 0, 0, 0], S[0, 2, 1, 1] = -5.0, 4.0
    assert keep(S, Config(mask_ratio=0.5)).flatten().tolist() == [1, 0, 0, 1]


def test_threshold_mask_is_hard_forward_and_soft_backward() -> None:
    relative, epsilon = torch.tensor([0.05, 0.1, 0.15, 0.9]), torch.tensor(0.1, requires_grad=True)
    kept = straight_through_step(relative, epsilon)
    assert kept.tolist() == [0, 0, 1, 1]
    kept.sum().backward()
    s = torch.sigmoid((relative - 0.1) / sgt.TEMPERATURE)
    assert epsilon.grad.item() == pytest.approx(-(s * (1 - s)).sum().item() / sgt.TEMPERATURE, rel=1e-5)


def test_only_the_kl_term_sees_epsilon() -> None:
    config = Config(mask="threshold", lambda1=1.0, lambda2=0.1)
    model, (X, y) = network(), batch()
    epsilon = torch.tensor(0.2, requires_grad=True)
    terms = losses(model, X, y, config=config, fill=black, epsilon=epsilon)
    for term, seen in ((terms.cross_entropy, False), (terms.saliency, False), (terms.kl, True)):
        (grad,) = torch.autograd.grad(term, epsilon, retain_graph=True, allow_unused=True)
        assert (grad is not None and grad.item() != 0) == seen


def test_stop_gradient_leaves_the_original_alone() -> None:
    o, o_masked = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4, requires_grad=True)
    kl_divergence(o.detach(), o_masked).backward()
    assert o.grad is None
    torch.testing.assert_close(o_masked.grad, (o_masked.softmax(1) - o.softmax(1)).detach() / 3)


def test_kl_is_zero_for_equals_and_matches_its_sum() -> None:
    o, q = torch.randn(5, 4), torch.randn(5, 4)
    assert kl_divergence(o, o).item() == pytest.approx(0, abs=1e-7)
    p = o.softmax(1)
    by_hand = (p * (p / q.softmax(1)).log()).sum(1).mean().item()
    assert kl_divergence(o, q).item() == pytest.approx(by_hand, rel=1e-5)


def gradients(model: nn.Module, X: Tensor, y: Tensor, config: Config) -> list[Tensor]:
    model.zero_grad()
    terms = losses(model, X, y, config=config, fill=black, alphas=clipping_levels(model))
    terms.total(config).backward()
    return [p.grad.clone() for p in model.parameters()]


@pytest.mark.parametrize("bits", [2, 4, 32])
def test_fast_double_backward_is_pytorchs(bits: int, monkeypatch: pytest.MonkeyPatch) -> None:
    config = Config(lambda1=0.5, lambda2=0.05)
    model, (X, y) = network(bits), batch()
    ours = gradients(model, X, y, config)
    assert any(a.abs().max() > 0 for a in ours)
    monkeypatch.setattr(sgt, "FastConvolutions", lambda twice: nullcontext())
    for a, b in zip(ours, gradients(model, X, y, config), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6)


def test_lambda2_gradient_is_that_of_finite_differences() -> None:
    """On a smooth float64 network, where the derivative of sum |S| exists almost everywhere."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Tanh(), nn.Flatten(), nn.Linear(3 * 16, 4)).double()
    X, y = torch.rand(3, 1, 6, 6).double(), torch.tensor([0, 1, 3])

    def penalty() -> Tensor:
        x = X.clone().requires_grad_()
        with convolution.FastConvolutions(twice=True):
            o = model(x)
        return saliency(o, x, y, scalar="loss", differentiable=True).abs().sum()

    w = model[0].weight
    (grad,) = torch.autograd.grad(penalty(), w)
    direction = torch.randn_like(w)
    h = 1e-6
    with torch.no_grad():
        w += h * direction
    above = penalty().item()
    with torch.no_grad():
        w -= 2 * h * direction
    assert (grad * direction).sum().item() == pytest.approx((above - penalty().item()) / (2 * h), rel=1e-4)


def test_the_masked_pass_leaves_batchnorm_statistics_alone() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(400, 5)).train()
    X, y = batch()
    expected = 0.9 * model[1].running_mean + 0.1 * model[0](X).detach().mean((0, 2, 3))
    losses(model, X, y, config=Config(), fill=torch.ones_like)
    torch.testing.assert_close(model[1].running_mean, expected)
    assert model[1].num_batches_tracked == 1
    assert model[1].track_running_stats


def test_without_sgt_there_is_one_pass() -> None:
    passes = []
    model, (X, y) = network(), batch()
    model.register_forward_hook(lambda *_: passes.append(1))
    terms = losses(model, X, y, config=Config(lambda1=0.0), fill=black)
    assert len(passes) == 1
    assert terms.cross_entropy.item() == pytest.approx(F.cross_entropy(model(X), y).item())


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", EACH_KIND)
def test_kl_is_exactly_0_when_nothing_is_masked(name: str, precision: torch.dtype) -> None:
    """Both passes draw the same dropout and stochastic depth, or a random network would be pulled towards itself."""
    torch.manual_seed(0)
    side = SMALLEST[name]
    model = build(name, channels=3, size=side, classes=5)
    layers = list(quantisable(model))
    quantise(
        model,
        w_bits=dict.fromkeys(layers, 4),
        a_bits=dict.fromkeys(layers[1:], 4),
        weight_quantiser="lsq",
        alpha=3.0,
        norms=norms(name),
    )
    X = torch.rand(4, 3, side, side)
    calibrate(model, X)
    config = Config(mask_ratio=1e-9)  # rounds to no pixel at all
    with torch.autocast("cpu", precision, enabled=precision is torch.bfloat16, cache_enabled=False):
        terms = losses(model.train(), X, torch.arange(4), config=config, fill=torch.ones_like)
    assert terms.kl.item() == 0
    assert terms.cross_entropy.item() > 0
