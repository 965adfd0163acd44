"""Convolutions whose double backward is as fast as their backward.

lambda2 differentiates an input gradient again. PyTorch's own formula for that weighs every image against every other
as one convolution with kernels as large as the feature map; written as a transposed convolution instead, the input
gradient has the ordinary, fast backward. The values are the same.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode

Pair = tuple[int, int]


class FastDoubleBackward(TorchFunctionMode):
    """Within this context every conv2d is one that can be differentiated twice cheaply."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Replace conv2d by ours; leave everything else alone."""
        if func is not torch.conv2d:
            return func(*args, **(kwargs or {}))
        return _conv2d(*args, **(kwargs or {}))


def _conv2d(x: Tensor, w: Tensor, b: Tensor | None = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
            groups: int = 1) -> Tensor:  # fmt: skip
    """F.conv2d of numeric padding; casts as autocast would, since a backward runs outside of it."""
    if torch.is_autocast_enabled(x.device.type):
        dtype = torch.get_autocast_dtype(x.device.type)
        x, w, b = x.to(dtype), w.to(dtype), None if b is None else b.to(dtype)
    out: Tensor = _Conv2d.apply(x, w, b, _pair(stride), _pair(padding), _pair(dilation), groups)
    return out


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
        if torch.is_grad_enabled():  # the saliency pass: nobody asks for the weights' gradient
            return grad_x, None, None, None, None, None, None
        _, grad_w, grad_b = torch.ops.aten.convolution_backward(
            grad, x, w, [w.shape[0]], stride, padding, dilation, False, [0, 0], groups,
            [False, ctx.needs_input_grad[1], ctx.needs_input_grad[2]],
        )  # fmt: skip
        return grad_x, grad_w, grad_b, None, None, None, None


def _pair(value: int | Pair) -> Pair:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
