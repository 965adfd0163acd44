"""Fast convolutions against PyTorch's own: values, gradients and second gradients."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainables.models import convolution


@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"), [(1, 0, 1, 1), (2, 1, 1, 2), (3, 2, 2, 1)]
)
def test_double_backward_of_a_convolution(stride: int, padding: int, dilation: int, groups: int) -> None:
    x, w = (
        torch.randn(2, 4, 11, 10, requires_grad=True),
        torch.randn(6, 4 // groups, 3, 3, requires_grad=True),
    )
    v = torch.randn(2, 4, 11, 10)

    def twice() -> tuple[Tensor, Tensor]:
        out = torch.conv2d(x, w, None, stride, padding, dilation, groups)
        (first,) = torch.autograd.grad((out**3).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad((first * v).sum(), w)
        return first, second

    with convolution.FastConvolutions(twice=True):
        ours = twice()
    for a, b in zip(ours, twice(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize(("side", "stride", "kernel"), [(2, 1, (3, 3)), (7, 2, (3, 3)), (5, (2, 1), (3, 5))])
def test_convolution_of_many_weights_on_a_small_map(
    side: int, stride: Any, kernel: tuple[int, int], twice: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Values, gradients and second gradients are PyTorch's, in float64 and in both memory formats."""
    size, inputs = (-(-convolution.MANY_WEIGHTS // (256 * kernel[0] * kernel[1])), 256)
    taken: list[tuple[int, ...]] = []
    own = convolution._as_matrix_product
    monkeypatch.setattr(
        convolution, "_as_matrix_product", lambda *args: taken.append(args[0].shape) or own(*args)
    )
    torch.manual_seed(0)
    layer = nn.Conv2d(inputs, size, kernel, stride, (1, kernel[1] // 2)).double()
    for memory in (torch.contiguous_format, torch.channels_last):
        layer.to(memory_format=memory)
        X = torch.randn(3, inputs, side, side).double().to(memory_format=memory).requires_grad_()

        def all_of_it(X: Tensor = X) -> list[Tensor]:
            out = layer(X)
            (first,) = torch.autograd.grad(out.square().sum(), X, create_graph=True)
            return [
                out,
                first,
                *torch.autograd.grad(first.square().sum() + out.sum(), [X, *layer.parameters()]),
            ]

        with convolution.FastConvolutions(twice=twice):
            ours = all_of_it()
        assert taken.pop() == X.shape
        for a, b in zip(ours, all_of_it(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("padding", ["same", "valid"])
def test_padding_by_name_is_differentiated_twice(padding: str) -> None:
    layer, X = nn.Conv2d(2, 3, 3, padding=padding).double(), torch.randn(2, 2, 6, 6).double().requires_grad_()

    def second() -> Tensor:
        (first,) = torch.autograd.grad((layer(X) ** 3).sum(), X, create_graph=True)
        return torch.autograd.grad(first.square().sum(), layer.weight)[0]

    with convolution.FastConvolutions(twice=True):
        ours = second()
    torch.testing.assert_close(ours, second())
