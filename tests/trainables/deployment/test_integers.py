"""Codes and grids stand for exactly what the model computes with."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.trainables.deployment.conftest import make
from trainables.deployment.integers import codes_of, grid_of
from trainables.models.catalogue import quantisable
from trainables.quantisation.quantisers import Pact


@pytest.mark.parametrize("quantiser", ["lsq", "lsq_integer", "affine"])
@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_the_codes_give_the_weight_back(bits: int, quantiser: str) -> None:
    example = make("small_cnn", 16, bits, 8, quantiser)
    for layer in quantisable(example.model).values():
        codes = codes_of(layer)
        assert codes is not None
        assert (codes.step > 0).all()
        shape = (-1,) + (1,) * (codes.codes.ndim - 1)
        exact = codes.integers() * (codes.step / np.float32(codes.factor)).reshape(shape)
        np.testing.assert_array_equal(exact.astype(np.float32), layer.weight.detach().numpy())


def test_halves_are_odd_integers() -> None:
    codes = codes_of(make("small_cnn", 16, 2, 8).model.get_submodule("conv1"))
    assert codes is not None
    assert codes.factor == 2
    assert set(np.unique(codes.integers())) <= {-3, -1, 1, 3}
    assert codes.fits_int8


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
def test_integer_levels_have_no_zero_point(bits: int) -> None:
    """Also where a norm turns a channel: its integers are negated, and still as many above 0 as below."""
    for layer in quantisable(make("small_cnn", 16, bits, 8, "lsq_integer").model).values():
        codes = codes_of(layer)
        assert codes is not None
        assert codes.factor == 1
        assert set(codes.zero) == {2 ** (bits - 1)}
        assert np.abs(codes.integers()).max() <= 2 ** (bits - 1) - 1


@given(
    st.sampled_from([2, 3, 4, 6, 8]), st.floats(0, 0.5), st.floats(0.01, 100),
    st.lists(st.floats(-200, 200, width=32), min_size=1),
)  # fmt: skip
def test_a_grid_has_the_levels_of_the_activation(
    bits: int, below: float, alpha: float, values: list[float]
) -> None:
    layer = torch.nn.Linear(1, 1)
    layer.input_quantiser = Pact(bits, alpha=alpha, zero_point=round(below * 2**bits))
    grid = grid_of(layer)
    assert grid is not None
    expected = layer.input_quantiser(torch.tensor(values)).detach().numpy()
    codes = np.clip(np.round(np.array(values) / grid.step) + grid.zero, 0, grid.highest)
    between = np.abs(np.array(values) / grid.step % 1 - 0.5) < 1e-3  # beside an edge either level is right
    found = (codes - grid.zero) * grid.step
    np.testing.assert_allclose(found[~between], expected[~between], rtol=1e-5, atol=1e-5)
