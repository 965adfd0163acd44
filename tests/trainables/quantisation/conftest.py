"""A convolution with its BatchNorm."""

import pytest
import torch
from torch import nn


@pytest.fixture
def plain() -> nn.Module:
    """A convolution, a BatchNorm with statistics and affine parameters of some use, and a ReLU."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5), nn.ReLU())
    nn.init.uniform_(model[1].weight, -2, 2)
    nn.init.uniform_(model[1].bias)
    model[1].running_mean.normal_()
    model[1].running_var.uniform_(0.5, 3)
    return model
