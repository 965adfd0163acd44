"""The models: what they take, down to the smallest images, and what they refuse."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torchvision.ops import StochasticDepth

from tests.trainables.models.names import EACH_KIND, OF_TORCHVISION
from trainables.choices import TORCHVISION
from trainables.models.catalogue import SMALLEST, HardSigmoid, build, norms, sample


@pytest.mark.parametrize("name", EACH_KIND)
def test_the_smallest_images_are_classified_and_smaller_ones_refused(name: str) -> None:
    least = SMALLEST[name]
    model = build(name, channels=3, size=least, classes=5).train()
    assert model(torch.rand(2, 3, least, least)).shape == (2, 5)
    with pytest.raises(
        ValueError, match=rf"{name} takes images of {least} pixels or more .* image_size={least}$"
    ):
        build(name, channels=3, size=least - 1, classes=5)


@pytest.mark.parametrize("name", EACH_KIND)
def test_grey_images_are_for_the_small_ones(name: str) -> None:
    if name not in TORCHVISION:
        assert build(name, channels=1, size=28, classes=10)(torch.rand(2, 1, 28, 28)).shape == (2, 10)
        return
    with pytest.raises(
        ValueError, match=r"in colour and these have 1 channel; choose small_cnn or paper_cnn"
    ):
        build(name, channels=1, size=64, classes=10)


def test_the_small_cnn_is_as_small_as_it_says() -> None:
    model = build("small_cnn", channels=3, size=64, classes=8)
    assert sum(p.numel() for p in model.parameters()) == 98_712
    assert norms("small_cnn") == {f"conv{i}": f"bn{i}" for i in range(1, 5)}
    maps: list[int] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, args, out: maps.append(args[0].shape[-1]))
    model(torch.rand(1, 3, SMALLEST["small_cnn"], SMALLEST["small_cnn"]))
    assert maps == [16, 8, 4, 2]


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_every_norm_of_torchvisions_models_has_its_convolution(name: str) -> None:
    model = build(name, channels=3, size=64, classes=10)
    pairs = norms(name)
    assert sorted(pairs.values()) == sorted(
        place for place, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)
    )
    for convolution, norm in pairs.items():
        assert model.get_submodule(convolution).out_channels == model.get_submodule(norm).num_features


def test_the_hard_sigmoid_is_pytorchs_and_can_be_differentiated_twice() -> None:
    x = torch.linspace(-5, 5, 1001)
    torch.testing.assert_close(HardSigmoid()(x), F.hardsigmoid(x))
    smooth = torch.tensor([-4.0, -1.3, 0.2, 2.1, 3.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(lambda v: HardSigmoid()(v) ** 2, smooth)


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_every_activation_can_be_differentiated_twice(name: str) -> None:
    kinds = {
        type(m): m for m in build(name, channels=3, size=64, classes=5).modules() if not list(m.children())
    }
    x = torch.tensor([-3.7, -1.3, 0.2, 2.1, 3.7], dtype=torch.float64, requires_grad=True)
    learned = (nn.Conv2d, nn.Linear, nn.BatchNorm2d, nn.AdaptiveAvgPool2d, nn.MaxPool2d)
    random = (nn.Dropout, StochasticDepth)
    for kind, module in kinds.items():
        if not issubclass(kind, learned + random):
            module.inplace = False
            assert torch.autograd.gradgradcheck(lambda v, module=module: module(v) ** 2, x), kind


def test_a_norm_belongs_to_the_convolution_whose_output_it_alone_reads() -> None:
    """Not behind an activation in place, where it gets the same tensor, nor where the map is read twice."""
    assert norms("tests.trainables.models.nets:ManyNorms", 3, 16, 3) == {"conv1": "bn1"}


def test_a_sample_leaves_the_random_numbers() -> None:
    before = torch.get_rng_state()
    for name in ("small_cnn", "tests.trainables.models.nets:Plain"):
        sample(name, channels=3, size=16, classes=3)
    assert torch.get_rng_state().equal(before)
