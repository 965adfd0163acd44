"""The list of operations is the model's, and what cannot be listed is named."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from study_common.errors import UserError
from tests.trainables.deployment.conftest import make
from tests.trainables.models.names import EACH_KIND
from trainables.deployment.operations import layers
from trainables.deployment.structure import operations
from trainables.models.catalogue import layer_names


@pytest.mark.parametrize("name", EACH_KIND)
def test_every_layer_of_every_model_is_listed_once_and_in_order(name: str) -> None:
    network = make(name, 64, 4, 4, count=2).network
    assert [layer.name for layer in layers(network)] == list(layer_names(name))
    assert network[0].kind == "image"
    assert network[-1].shape == (5,)
    assert "BatchNorm" not in {step.kind for step in network}


class Odd(nn.Module):
    """A model with an operation that no format knows."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.strange = nn.Softplus()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.strange(self.conv(x)).mean(dim=(2, 3))


def test_a_layer_without_a_form_is_named() -> None:
    with pytest.raises(UserError, match=r"strange \(Softplus\) has no form .* or export packed"):
        operations(Odd().eval(), (3, 8, 4))


class Padded(nn.Conv2d):
    """A convolution whose padding is in its code."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(nn.functional.pad(x, (1, 1, 1, 1)))


class Chosen(nn.Module):
    """A branch on the values of the image."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.mean((2, 3)) if [*x] else x


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (nn.Sequential(Padded(3, 4, 3)), r"0 \(Padded with a forward of its own\) has no form"),
        (Chosen(), "torch.fx cannot follow Chosen .* export packed"),
    ],
)
def test_what_cannot_be_followed_is_named(model: nn.Module, says: str) -> None:
    with pytest.raises(UserError, match=says):
        operations(model.eval(), (3, 8, 4))


class Positional(nn.Module):
    """A mean whose arguments have no names."""

    def __init__(self, flat: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.conv, self.flat, self.fc = nn.Conv2d(3, 4, 3), flat, nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.flat(self.conv(x).mean([2, 3], True)))


@pytest.mark.parametrize(
    "flat", [nn.Flatten(), lambda x: x.flatten(start_dim=1), lambda x: torch.flatten(x, 1, -1)]
)
def test_a_mean_and_a_flattening_are_found_however_they_are_written(
    flat: Callable[[torch.Tensor], torch.Tensor],
) -> None:
    network = operations(Positional(flat).eval(), (3, 8, 4))
    assert [step.kind for step in network] == ["image", "layer", "mean", "flatten", "layer"]
    assert network[2].options == {"keep": True}
