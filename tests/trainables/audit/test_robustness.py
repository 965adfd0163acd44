"""Infidelity and max-sensitivity against closed forms of linear and quadratic models."""

import pytest
import torch
from torch import nn

from trainables.audit.robustness import infidelity, max_sensitivity
from trainables.choices import ATTRIBUTIONS


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def linear(scale=1.0):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(144, 3))
    model[1].weight.data *= scale
    return model


class Square(nn.Module):
    """The sum of squares of an image: an even function, whose slopes at 0 predict nothing."""

    def forward(self, X):
        return X.square().flatten(1).sum(1, keepdim=True)


def test_slopes_predict_a_linear_model_of_any_scale_and_nothing_of_an_even_one():
    X, target = drawn(6, 1, 12, 12), torch.arange(6) % 3
    for scale in (1.0, 30.0):
        found = infidelity(linear(scale), X, target, method="gradient", noise=0.3)
        assert found["infidelity_share"] == pytest.approx(0, abs=1e-5)
    at_zero = infidelity(Square(), 0 * X, 0 * target, method="gradient", noise=0.3)
    assert at_zero["infidelity_share"] == 1
    # the mean of (sum of 144 squared normals of variance s^2)^2 is s^4 (144^2 + 2 * 144)
    assert at_zero["infidelity"] == pytest.approx(0.3**4 * (144**2 + 288), rel=0.1)


def test_maps_of_a_linear_model_do_not_change_and_those_of_a_square_follow_the_image():
    X, target = drawn(6, 1, 12, 12), torch.zeros(6, dtype=torch.long)
    assert max_sensitivity(linear(), X, target, method="gradient", radius=0.1) == 0
    found = max_sensitivity(Square(), X, target, method="gradient", radius=0.1)
    size = (
        X.square().mean().sqrt().item()
    )  # |2 (X + I)| - |2 X| is at most 2 |I|, of root mean square 0.1 / sqrt 3
    assert found == pytest.approx(0.1 / 3**0.5 / size, rel=0.1)


@pytest.fixture(scope="module")
def cubic():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.Tanh(), nn.Flatten(), nn.Linear(400, 3)).eval()


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_maps_do_not_change_where_the_image_does_not(method, cubic):
    X, target = drawn(6, 1, 12, 12), torch.arange(6) % 3
    assert max_sensitivity(cubic, X, target, method=method, radius=0.0) == 0
    assert max_sensitivity(cubic, X, target, method=method, radius=0.01) < 0.1


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_the_value_of_an_image_does_not_depend_on_the_images_beside_it(method, cubic):
    """The mean of eight images is that of the images one by one."""
    X, target = drawn(8, 1, 12, 12) * torch.arange(1, 9).view(-1, 1, 1, 1), torch.arange(8) % 3

    def of(images, classes):
        return [
            max_sensitivity(cubic, images, classes, method=method, radius=0.1),
            infidelity(cubic, images, classes, method=method, noise=0.1)["infidelity"],
        ]

    alone = torch.tensor([of(X[i : i + 1], target[i : i + 1]) for i in range(8)])
    torch.testing.assert_close(torch.tensor(of(X, target)), alone.mean(0), rtol=1e-3, atol=1e-6)
