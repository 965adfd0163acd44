"""The list of operations is the model's, and what cannot be listed is named."""

import pytest
import torch
from torch import nn

from study_common.errors import UserError
from tests.trainables.deployment.conftest import make
from tests.trainables.models.names import EACH_KIND
from trainables.deployment.structure import layers, operations
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
