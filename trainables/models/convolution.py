"""Convolutions for the two cases in which PyTorch's own are slow on a CPU; the values are the same.

Many weights on a small map (the last stage of a ResNet on images of 64 or 128 pixels): oneDNN takes up to five times as
long as one matrix product of all patches with all kernels.

Double backward: lambda2 differentiates an input gradient again. PyTorch's own formula for that combines every image
with every other, as one convolution whose kernels are as large as the feature map. If the input gradient is written as
a transposed convolution instead, it has the ordinary, fast backward.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]
MANY_WEIGHTS, SMALL_MAP = 2**20, 16
"""At least this many weights and at most this many output pixels, as measured on a CPU with AMX."""


class FastConvolutions(TorchFunctionMode):
    """Within this context every conv2d with numeric padding uses the fast implementation.

    Args:
        twice: Whether the result is differentiated twice.
    """

    def __init__(self, *, twice: bool) -> None:
        super().__init__()
        self.twice = twice

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace conv2d, and call every other function unchanged."""
        if func is not torch.conv2d:
            return func(*args, **(kwargs or {}))
        return _conv2d(*args, **(kwargs or {}), twice=self.twice)


def _conv2d(x: Tensor, w: Tensor, b: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
            groups: int = 1, *, twice: bool) -> Tensor:  # fmt: skip
    """As F.conv2d, with the casts of autocast, because a backward runs outside of it."""
    if isinstance(padding, str):  # "same" or "valid": PyTorch's own way
        return F.conv2d(x, w, b, stride, padding, dilation, groups)
    stride, padding, dilation = _pair(stride), _pair(padding), _pair(dilation)
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, w, b = x.to(dtype), w.to(dtype), None if b is None else b.to(dtype)
    if x.device.type == "cpu" and w.numel() >= MANY_WEIGHTS and groups == 1 and dilation == (1, 1):
        height, width = (
            (size + 2 * p - kernel) // s + 1
            for size, p, kernel, s in zip(x.shape[2:], padding, w.shape[2:], stride, strict=True)
        )
        if height * width <= SMALL_MAP:
            return _as_matrix_product(x, w, b, stride, padding, (height, width))
    if not twice:
        return F.conv2d(x, w, b, stride, padding, dilation, groups)
    out: Tensor = _Conv2d.apply(x, w, b, stride, padding, dilation, groups)
    return out


def _as_matrix_product(
    x: Tensor, w: Tensor, b: Tensor | None, stride: Pair, padding: Pair, out: Pair
) -> Tensor:
    """Multiply every patch, as a row with channels last, by every kernel; (n, channels, *out)."""
    x = F.pad(x, (padding[1], padding[1], padding[0], padding[0])).permute(0, 2, 3, 1)
    rows, columns = ((size - 1) * s + 1 for size, s in zip(out, stride, strict=True))
    patches = [
        x[:, i : i + rows : stride[0], j : j + columns : stride[1]]
        for i in range(w.shape[2])
        for j in range(w.shape[3])
    ]
    return F.linear(torch.cat(patches, dim=3), w.permute(0, 2, 3, 1).flatten(1), b).permute(0, 3, 1, 2)


class _Conv2d(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        w: Tensor,
        b: Tensor | None,
        stride: Pair,
        padding: Pair,
        dilation: Pair,
        groups: int,
    ) -> Tensor:
        ctx.save_for_backward(x, w)
        ctx.geometry = (stride, padding, dilation, groups)
        return F.conv2d(x, w, b, stride, padding, dilation, groups)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, w = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        left_over = [
            size - ((out - 1) * s - 2 * p + d * (kernel - 1) + 1)
            for size, out, s, p, d, kernel in zip(
                x.shape[2:], grad.shape[2:], stride, padding, dilation, w.shape[2:], strict=True
            )
        ]
        grad_x = F.conv_transpose2d(grad, w, None, stride, padding, left_over, groups, dilation)
        if torch.is_grad_enabled():  # the saliency pass needs no gradient of the weights
            return grad_x, None, None, None, None, None, None
        _, grad_w, grad_b = torch.ops.aten.convolution_backward(
            grad, x, w, [w.shape[0]], stride, padding, dilation, False, [0, 0], groups,
            [False, ctx.needs_input_grad[1], ctx.needs_input_grad[2]],
        )  # fmt: skip
        return grad_x, grad_w, grad_b, None, None, None, None


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
