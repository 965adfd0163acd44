"""Quantisers of several widths: one network, whose quantisers are exchanged."""

import pytest
import torch
from torch import nn

from trainables.quantisation.any_width import AnyWidth, Untouched, own_tensors, place
from trainables.quantisation.quantisers import LSQ, Pact, clipping_levels, quantise, quantiser_of

NAMES = {"0": "1"}


def any_width(model: nn.Module) -> AnyWidth:
    return AnyWidth(
        model, w_widths={"0": [2, 4, 32]}, a_widths={"0": [3, 32]}, weight_quantiser="lsq", alpha=1.5, norms=NAMES
    )  # fmt: skip


def test_selecting_exchanges_the_quantisers_and_nothing_else(plain: nn.Module) -> None:
    bank = any_width(plain.eval())
    before = {name: id(p) for name, p in plain.named_parameters() if "quantiser" not in name}
    for w, a in ((2, 3), (4, 3), (32, 32), (2, 32)):
        bank.select(plain, {"0": w}, {"0": a})
        quantiser, _ = quantiser_of(plain[0])
        assert quantiser.quantiser is bank.weights[place("0", w)]
        assert isinstance(quantiser.quantiser, Untouched if w == 32 else LSQ)
        assert quantiser.quantiser.bits == w
        assert plain[0].input_quantiser is bank.inputs[place("0", a)]
        assert len(clipping_levels(plain)) == (a < 32)
        now = {name: id(p) for name, p in plain.named_parameters() if "quantiser" not in name}
        assert now == before
    assert isinstance(bank.inputs[place("0", 3)], Pact)
    assert bank.inputs[place("0", 3)].bits == 3


@pytest.mark.parametrize("training", [True, False])
def test_width_32_is_the_float_network_to_the_bit(plain: nn.Module, training: bool) -> None:
    x = torch.randn(4, 3, 8, 8)
    expected = plain.train(training)(x)
    bank = any_width(plain)
    bank.select(plain, {"0": 32}, {"0": 32})
    plain.train(training)
    assert plain(x).equal(expected)
    bank.select(plain, {"0": 2}, {"0": 3})
    assert not torch.allclose(plain(x), expected)


def test_tensors_of_one_configuration(plain: nn.Module) -> None:
    bank = any_width(plain)
    with torch.no_grad():
        for parameter in bank.parameters():
            parameter.add_(torch.rand_like(parameter))
    state = plain.state_dict() | {f"any_width.{n}": t for n, t in bank.state_dict().items()}
    own = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU())
    quantise(own, w_bits={"0": 4}, a_bits={"0": 3}, weight_quantiser="lsq", alpha=9.0, norms=NAMES)
    found = own_tensors(state, list(own.state_dict()), {"0": 4}, {"0": 3})
    assert found.keys() == own.state_dict().keys()
    assert found["0.parametrizations.weight.0.quantiser.log_step"].equal(bank.weights[place("0", 4)].log_step)
    assert found["0.input_quantiser.alpha"].equal(bank.inputs[place("0", 3)].alpha)
    with pytest.raises(KeyError, match="0:8"):
        own_tensors(state, list(own.state_dict()), {"0": 8}, {"0": 3})
