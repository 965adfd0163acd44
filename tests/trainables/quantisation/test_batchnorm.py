"""Running statistics taken again from images: which norms, from what, and what stays as it was."""

import torch
from torch import nn

from trainables.quantisation.batchnorm import settle
from trainables.quantisation.quantisers import calibrate

SHAPE = (6, 3, 8, 8)


def test_only_norms_that_saw_nothing_take_statistics_from_calibration(plain: nn.Module) -> None:
    before = plain[1].running_mean.clone()
    calibrate(plain, torch.randn(SHAPE))
    assert plain[1].running_mean.equal(before)
    plain[1].reset_running_stats()
    X = torch.randn(SHAPE) + 1
    calibrate(plain, X)
    torch.testing.assert_close(plain[1].running_mean, plain[0](X).mean((0, 2, 3)))
    assert plain[1].momentum == 0.1


def test_settled_statistics_are_those_of_the_network_as_it_is(plain: nn.Module) -> None:
    X = torch.randn(24, 3, 8, 8) * 3 + 1
    settle(plain, X.split(8))
    out = plain[0](X)
    torch.testing.assert_close(plain[1].running_mean, out.mean((0, 2, 3)))
    means = torch.stack([part.var((0, 2, 3)) for part in out.split(8)]).mean(0)
    torch.testing.assert_close(plain[1].running_var, means)
    assert plain[1].momentum == 0.1
    assert plain[1].training  # as it was
