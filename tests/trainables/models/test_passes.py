"""An extra pass leaves no trace: modes, running statistics and random draws are those of before."""

import pytest
import torch
from torch import Tensor, nn

from trainables.models.passes import RandomState, extra_pass


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(4 * 36, 3)
    )


def state_of(model: nn.Module) -> tuple[list[bool], list[Tensor], Tensor]:
    buffers = [tensor.clone() for tensor in model.state_dict().values()]
    return [module.training for module in model.modules()], buffers, torch.get_rng_state()


def same(a: tuple[list[bool], list[Tensor], Tensor], b: tuple[list[bool], list[Tensor], Tensor]) -> bool:
    return a[0] == b[0] and all(x.equal(y) for x, y in zip(a[1], b[1], strict=True)) and a[2].equal(b[2])


def test_evaluation_restores_each_modules_own_mode_and_the_draws(model: nn.Module) -> None:
    model.train()
    model[1].eval()  # a norm that somebody froze
    before = state_of(model)
    with extra_pass(model):
        assert not any(module.training for module in model.modules())
        assert not model(torch.rand(2, 1, 8, 8)).equal(model(torch.rand(2, 1, 8, 8)))
    assert same(before, state_of(model))


def test_a_pass_that_fails_restores_too(model: nn.Module) -> None:
    before = state_of(model.train())
    with pytest.raises(RuntimeError), extra_pass(model, repeat=RandomState.of(torch.device("cpu"))):
        model(torch.rand(2, 1, 9, 9))  # the classifier does not take this size
    assert same(before, state_of(model))
    assert model[1].track_running_stats


def test_a_repeated_pass_draws_the_same_and_moves_nothing(model: nn.Module) -> None:
    X = torch.rand(4, 1, 8, 8)
    model.train()
    draws = RandomState.of(torch.device("cpu"))
    first = model(X)
    after = state_of(model)
    with extra_pass(model, repeat=draws):
        again = model(X)
    assert again.equal(first)
    assert same(after, state_of(model))
    assert not model(X).equal(first)  # the draws that follow are new ones
