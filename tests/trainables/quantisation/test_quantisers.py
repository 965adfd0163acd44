"""Quantisers against closed forms, PyTorch's own fake quantisation, and slow transcriptions."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from trainables.models.catalogue import PaperCNN
from trainables.quantisation.quantisers import (
    FLOOR,
    LSQ,
    Affine,
    Pact,
    calibrate,
    clipping_levels,
    keep_positive,
    quantise,
)

BITS = [2, 3, 4, 6, 8]
EDGES = [-7.0, -1.1, -0.3, 0.0, 0.2, 0.7, 1.0999, 1.1, 1.2, 9.0]


def paper_equation_2(x: float, alpha: float, k: int) -> float:
    """Paper A eq. 1 and 2, one number at a time, in Python floats."""
    y = 0.0 if x < 0 else min(x, alpha)
    return round(y * (2**k - 1) / alpha) * alpha / (2**k - 1)


@pytest.mark.parametrize("bits", BITS)
@given(x=st.floats(-20, 20, width=32), alpha=st.floats(0.125, 10, width=32))
def test_pact_is_the_papers_equation(bits: int, x: float, alpha: float) -> None:
    ours = Pact(bits, alpha=alpha)(torch.tensor([x])).item()
    step = alpha / (2**bits - 1)
    tie = abs((min(max(x, 0), alpha) / step) % 1 - 0.5) < 1e-4  # float32 may round a tie the other way
    assert ours == pytest.approx(paper_equation_2(x, alpha, bits), abs=step * 1.001 if tie else 1e-5)


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("share", [0.0, 0.2, 0.5])
def test_pact_has_exactly_its_levels(bits: int, share: float) -> None:
    zero_point = round(share * (2**bits - 1) + 0.1)
    pact = Pact(bits, alpha=1.5, zero_point=zero_point)
    y = pact(torch.linspace(-8, 8, 400_001)).detach()
    step = 1.5 / (2**bits - 1 - zero_point)
    expected = [code * step for code in range(-zero_point, 2**bits - zero_point)]
    np.testing.assert_allclose(y.unique(), expected, atol=1e-5)
    assert (y == 0).any()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("zero_point", [0, 2, 8])
def test_pact_gradients_are_equation_3(dtype: torch.dtype, zero_point: int) -> None:
    pact = Pact(4, alpha=1.1, zero_point=zero_point)
    x = torch.tensor(EDGES, dtype=dtype, requires_grad=True)
    alpha, share = pact.alpha.item(), zero_point / (15 - zero_point)
    upstream = torch.arange(1.0, 1 + len(EDGES)).to(dtype)
    pact(x).backward(upstream)
    values = x.detach().float()
    inside = (values > -alpha * share) & (values < alpha)
    assert torch.equal(x.grad.float(), upstream.float() * inside)
    slope = (values >= alpha).float() - share * (values <= -alpha * share).float() * (zero_point > 0)
    assert pact.alpha.grad.item() == pytest.approx((upstream.float() * slope).sum().item(), rel=1e-6)


def test_the_gradient_of_alpha_is_summed_in_float32_under_autocast() -> None:
    """4,096 gradients above alpha and as many below the range nearly cancel; bfloat16 keeps two digits of each sum."""
    x = torch.cat([torch.full((4096,), 9.0), torch.full((4096,), -9.0)]).bfloat16()
    generator = torch.Generator().manual_seed(0)
    upstream = (1 + torch.rand(8192, generator=generator) / 8).bfloat16()
    pact = Pact(4, alpha=1.0, zero_point=8)
    with torch.autocast("cpu", torch.bfloat16):
        pact(x).backward(upstream)
    exact = upstream[:4096].double().sum() - 8 / 7 * upstream[4096:].double().sum()
    assert pact.alpha.grad.item() == pytest.approx(exact.item(), rel=1e-4)


@pytest.mark.parametrize("activation", [nn.SiLU(), nn.Hardswish()], ids=["silu", "hardswish"])
@pytest.mark.parametrize(("bits", "start"), [(4, "init"), (4, "percentile"), (4, "mse"), (8, "percentile")])
def test_an_input_bounded_below_keeps_its_levels_above_0(
    activation: nn.Module, bits: int, start: str
) -> None:
    """Symmetric levels would leave half of them below -0.4, where SiLU and Hardswish are never."""
    x = activation(2 * torch.randn(20_000, generator=torch.Generator().manual_seed(0)))
    pact = Pact(bits, alpha=x.max().item())
    pact.fit(x, start=start, percentile=100)
    assert (bits == 8) <= pact.zero_point < 2 ** (bits - 2)
    symmetric = Pact(bits, alpha=pact.alpha.item(), zero_point=2 ** (bits - 1))
    ours, theirs = ((q(x) - x).square().mean().item() for q in (pact, symmetric))
    assert ours < 0.5 * theirs


def test_clipping_has_the_gradient_of_finite_differences() -> None:
    """At 30 bits the rounding vanishes and what is left is the clip itself, away from its kinks."""
    x = torch.tensor([-0.5, 0.3, 0.9, 2.5, 4.0], dtype=torch.float64)
    v = torch.tensor([1.0, 2.0, -3.0, 4.0, 0.5], dtype=torch.float64)
    pact = Pact(30, alpha=1.7).double()
    (pact(x) * v).sum().backward()
    h = 1e-6

    def clipped(alpha: float) -> float:
        return (x.clamp(0, alpha) * v).sum().item()

    assert pact.alpha.grad.item() == pytest.approx((clipped(1.7 + h) - clipped(1.7 - h)) / (2 * h), abs=1e-6)


def test_alpha_survives_a_thousand_adversarial_steps() -> None:
    model = PaperCNN(1, 12, 3)
    quantise(model, w_bits={}, a_bits={"conv2": 2, "fc1": 4}, weight_quantiser="lsq", alpha=1.0, norms={})
    alphas = clipping_levels(model)
    assert len(alphas) == 2
    optimizer = torch.optim.SGD(alphas, lr=10.0)
    for _ in range(1000):
        for alpha in alphas:
            alpha.grad = torch.full_like(alpha, 1e6)
        optimizer.step()
        keep_positive(model)
        assert all(alpha.item() >= FLOOR > 0 for alpha in alphas)
    assert model(torch.rand(2, 1, 12, 12)).isfinite().all()


@pytest.mark.parametrize("bits", BITS)
def test_affine_equals_pytorchs_fake_quantisation(bits: int) -> None:
    w = torch.randn(5, 3, 3, 3, generator=torch.Generator().manual_seed(bits))
    quantiser = Affine(bits)
    q = quantiser.encode(w)
    expected = torch.fake_quantize_per_channel_affine(
        w, q.step.flatten(), q.zero.flatten().int(), axis=0, quant_min=0, quant_max=2**bits - 1
    )
    torch.testing.assert_close(quantiser(w), expected)
    assert all(channel.unique().numel() <= 2**bits for channel in quantiser(w))


def test_affine_keeps_zero_and_passes_gradients_straight_through() -> None:
    w = torch.tensor([[0.0, 0.5, 2.0], [-3.0, 0.0, 1.0]], requires_grad=True)
    out = Affine(4)(w)
    assert out[0, 0] == 0
    assert out[1, 1] == 0
    out.backward(torch.full((2, 3), 2.0))
    assert torch.equal(w.grad, torch.full((2, 3), 2.0))


def test_affine_of_a_constant_channel_is_finite() -> None:
    assert Affine(2)(torch.zeros(2, 4)).equal(torch.zeros(2, 4))


@pytest.mark.parametrize("bits", BITS)
def test_lsq_against_its_paper_one_number_at_a_time(bits: int) -> None:
    """Esser et al. 2020, eq. 1-3 and section 2.2, for one channel, with the levels moved by half a step below 8 bits.

    Ours learns log s, so its gradient is s d/ds.
    """
    w = torch.randn(1, 50, generator=torch.Generator().manual_seed(1), requires_grad=True)
    s = 0.3
    quantiser = LSQ(bits, 1, 2)
    with torch.no_grad():
        quantiser.log_step.fill_(math.log(s))
    out = quantiser(w)
    out.sum().backward()
    offset = 0.5 if bits < 8 else 0.0
    low, high = offset - 2 ** (bits - 1), offset + 2 ** (bits - 1) - 1
    expected, slope, passed = [], 0.0, []
    for value in w.detach().flatten().tolist():
        v = value / s
        level = round(min(max(v, low), high) - offset) + offset
        expected.append(s * level)
        slope += low if v <= low else high if v >= high else level - v
        passed.append(float(low < v < high))
    np.testing.assert_allclose(out.detach().flatten(), expected, atol=1e-6)
    np.testing.assert_allclose(w.grad.flatten(), passed, atol=1e-6)
    assert quantiser.log_step.grad.item() == pytest.approx(
        s * slope / math.sqrt(50 * high), rel=1e-3, abs=1e-4
    )


@pytest.mark.parametrize("bits", BITS)
@pytest.mark.parametrize("kind", ["lsq", "affine"])
def test_integers_give_exactly_the_quantised_weight(bits: int, kind: str) -> None:
    w = torch.randn(7, 3, 3, 3, generator=torch.Generator().manual_seed(bits)) * 0.01
    quantiser = Affine(bits) if kind == "affine" else LSQ(bits, 7, 4)
    if isinstance(quantiser, LSQ):
        quantiser.fit(w)
    q = quantiser.encode(w)
    assert q.codes.min() >= 0
    assert q.codes.max() < 2**bits
    assert ((q.codes - q.zero) * q.step).equal(quantiser(w))


def test_lsq_learns_in_float32_under_autocast() -> None:
    torch.manual_seed(0)
    w, grads = torch.randn(4, 3, 5, 5), []
    for enabled in (False, True):
        quantiser = LSQ(3, 4, 4)
        quantiser.fit(w)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            (quantiser(w) * torch.linspace(-1, 1, w.numel()).view_as(w)).sum().backward()
        grads.append(quantiser.log_step.grad)
    assert torch.equal(*grads)


def test_fitted_lsq_step_is_the_best_of_a_fine_search() -> None:
    w = torch.randn(1, 400, generator=torch.Generator().manual_seed(2))
    quantiser = LSQ(2, 1, 2)
    quantiser.fit(w)

    def error(s: float) -> float:
        return (((w / s - 0.5).round().clamp(-2, 1) + 0.5) * s - w).square().mean().item()

    best = min(error(s) for s in np.linspace(0.05, 4, 2000))
    assert error(quantiser.log_step.exp().item()) <= best * 1.02


def test_every_layer_multiplies_with_what_its_weight_says() -> None:
    model = PaperCNN(1, 12, 3)
    quantise(
        model,
        w_bits={"conv1": 2, "fc1": 3, "fc2": 32},
        a_bits={"fc1": 4, "fc2": 4},
        weight_quantiser="lsq",
        alpha=2.0,
        norms={},
    )
    calibrate(model, torch.rand(8, 1, 12, 12))
    assert all(channel.unique().numel() <= 4 for channel in model.conv1.weight)
    assert all(row.unique().numel() <= 8 for row in model.fc1.weight)
    assert isinstance(model.fc2.weight, nn.Parameter)
    assert len({id(alpha) for alpha in clipping_levels(model)}) == 2
    seen = {}
    model.fc1.register_forward_hook(lambda m, args, out: seen.update(x=args[0]))
    model(torch.rand(8, 1, 12, 12))
    assert seen["x"].unique().numel() <= 16


@pytest.mark.parametrize("kind", ["unsigned", "bounded below", "both sides"])
def test_alpha_of_least_squared_error_is_the_best_of_a_fine_search(kind: str) -> None:
    x = torch.randn(4000, generator=torch.Generator().manual_seed(3))
    x = {"unsigned": x.relu(), "bounded below": F.silu(2 * x), "both sides": x}[kind]
    pact = Pact(3, alpha=1.0)
    pact.fit(x, start="mse", percentile=100.0)

    def error(alpha: float, zero_point: int) -> float:
        return (Pact(3, alpha=alpha, zero_point=zero_point)(x) - x).square().mean().item()

    best = min(error(alpha, zero) for alpha in np.linspace(0.1, 5, 200) for zero in range(5))
    assert error(pact.alpha.item(), pact.zero_point) <= best * 1.02
    assert pact.zero_point == 0 or kind != "unsigned"


def test_calibration_finds_zero_points_and_percentiles() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))
    quantise(model, w_bits={}, a_bits={"2": 8, "4": 8}, weight_quantiser="lsq", alpha=1.0, norms={})
    x = torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    seen = model[1](model[0](x)).detach().abs().flatten().sort().values
    calibrate(model, x, start="percentile", percentile=90)
    assert [model[2].input_quantiser.zero_point, model[4].input_quantiser.zero_point] == [128, 0]
    assert model[2].input_quantiser.alpha.item() == seen[round(0.9 * len(seen)) - 1].item()


def test_a_state_dict_keeps_the_zero_point() -> None:
    other = Pact(4, alpha=1.0)
    other.load_state_dict(Pact(4, alpha=2.0, zero_point=3).state_dict())
    assert (other.alpha.item(), other.zero_point) == (2.0, 3)
