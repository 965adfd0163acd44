"""Quantisation: PACT on the input of a layer, straight-through quantisers on its weights.

`quantise` changes a model in place, layer by layer. The weight becomes a PyTorch parametrisation, so that
`layer.weight` *is* what the layer multiplies with; the input passes a `Pact` of the layer's own, so that two
layers behind one ReLU never share a clipping level. `calibrate` then sets every scale from one batch of images.

w_bits and a_bits are widths in {2, 3, 4, 6, 8, 32}; 32 means untouched. The input of the first layer is the
8-bit image itself and has no quantiser.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils import parametrize

from trainables.models.catalogue import quantisable
from trainables.models.passes import extra_pass
from trainables.quantisation.batchnorm import gathering, norms_of
from trainables.quantisation.folding import Codes, Folded, fold

SHRINKAGES = torch.linspace(0.1, 1.0, 40).tolist()
"""Shares of the largest value that are searched for the step of least squared error."""
SEARCHED = 2**18
"""Activations per layer that the search for an alpha of least squared error looks at."""
ROUNDING = 2.0**-20
"""alpha * (top / alpha) may fall short of `top` by this share; such a value counts as clipped."""
FLOOR = 1e-3
"""alpha never falls below this: at 0 every activation is clipped and no gradient returns."""


class _ClipRound(torch.autograd.Function):
    """Clip to [lowest, top] steps of alpha / top each, and round to whole steps; with the gradients of PACT.

    One function, because plain tensor operations would walk the activations a dozen times. Its backward is made of
    differentiable operations, so that the double backward of lambda2 goes through it. alpha stays a tensor: to read its
    value would make a GPU wait for the host, and a graph could not be exported.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, lowest: int, top: int) -> Tensor:
        v = (x * (torch.full_like(alpha, top) / alpha)).clamp_(lowest, top)  # one rounding, not two
        ctx.save_for_backward(v)
        ctx.lowest, ctx.top = lowest, top
        return v.round().mul_(alpha / top)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (v,) = ctx.saved_tensors
        lowest, top = ctx.lowest * (1 - ROUNDING), ctx.top * (1 - ROUNDING)
        passed = torch.ops.aten.hardtanh_backward(grad, v, lowest, top)
        # Sums in float32, also under autocast: of many gradients that nearly cancel, bfloat16 keeps two digits.
        slope = torch.ops.aten.threshold_backward(grad, v, top).sum(dtype=torch.float32)
        if lowest < 0:
            below = torch.ops.aten.threshold_backward(grad, -v, -lowest).sum(dtype=torch.float32)
            slope = slope + below * (ctx.lowest / ctx.top)
        return passed, slope, None, None


class Pact(nn.Module):
    """PACT with a learnable clipping level alpha > 0 and an integer zero-point z, on N = 2^k levels.

    y_q = s (clip(round(x / s), -z, N - 1 - z)) with the step s = alpha / (N - 1 - z): the levels are -z s, ..., 0, ...,
    alpha. With z = 0 this is PACT (Choi et al. 2018; paper A eq. 1-2, paper B eq. 6); `fit` chooses z for inputs that
    are ever negative, behind SiLU or Hardswish. Gradients are straight-through: dy/dx is 1 inside the range, else 0;
    dy/dalpha is 1 where x >= alpha, -z / (N - 1 - z) where x <= -z s, else 0 (PACT eq. 3).

    Args:
        bits: k, at least 2.
        alpha: The start of the clipping level.
        zero_point: z, in [0, 2^(k-1)].

    >>> pact = Pact(2, alpha=3.0)
    >>> pact(torch.tensor([-1.0, 0.4, 0.6, 2.0, 9.0])).tolist()
    [0.0, 0.0, 1.0, 2.0, 3.0]
    >>> Pact(2, alpha=3.0, zero_point=1)(torch.tensor([-9.0, -1.0, 0.4, 2.0, 9.0])).tolist()
    [-1.5, -1.5, 0.0, 1.5, 3.0]
    """

    zero_point: int

    def __init__(self, bits: int, *, alpha: float, zero_point: int = 0) -> None:
        super().__init__()
        self.bits = bits
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.zero_point = zero_point

    @property
    def top(self) -> int:
        """N - 1 - z, the number of steps between 0 and alpha."""
        return (1 << self.bits) - 1 - self.zero_point

    @torch.no_grad()
    def fit(self, x: Tensor, *, start: str, percentile: float) -> None:
        """Set alpha and the zero-point to what is seen of an input.

        The range reaches down to the smallest value seen, at most to -alpha; the zero-point is the nearest integer.

        Args:
            x: Inputs of the layer, of any shape.
            start: One of `choices.ALPHA_STARTS`: `init` keeps alpha.
            percentile: Of |x|, for the start `percentile`.
        """
        x = x.float().flatten()
        lowest = min(0.0, x.min().item())
        sizes = x.abs()
        if start == "percentile":
            rank = max(1, round(sizes.numel() * percentile / 100))
            self.alpha.copy_(sizes.kthvalue(rank).values.clamp(min=FLOOR))
        elif start == "mse":
            self._fit_least_squares(x[:: -(-x.numel() // SEARCHED)], lowest)
            return
        self.zero_point = _zero_point(lowest, self.alpha.item(), self.bits)

    def _fit_least_squares(self, x: Tensor, lowest: float) -> None:
        """Take the best alpha of a grid, each with the zero-points on both sides of the exact one."""
        largest = x.abs().max().clamp(min=FLOOR)
        best = (math.inf, 0.0, 0)
        for shrink in SHRINKAGES:
            alpha = (largest * shrink).item()
            self.alpha.fill_(alpha)
            nearest = _zero_point(lowest, alpha, self.bits)
            for zero_point in {nearest, max(nearest - 1, 0), min(nearest + 1, 1 << (self.bits - 1))}:
                self.zero_point = zero_point if lowest < 0 else 0
                error = (self.forward(x) - x).square().sum().item()
                best = min(best, (error, alpha, self.zero_point))
        self.alpha.fill_(best[1])
        self.zero_point = best[2]

    def forward(self, x: Tensor) -> Tensor:
        """Quantise x of any shape; the same shape and dtype come back."""
        quantised: Tensor = _ClipRound.apply(x, self.alpha, -self.zero_point, self.top)
        return quantised

    def get_extra_state(self) -> Tensor:
        """Return the zero-point, so that a state dict holds it; in a pass it is a number that no GPU waits for."""
        return torch.tensor(self.zero_point)

    def set_extra_state(self, state: Tensor) -> None:
        """Take the zero-point of a state dict."""
        self.zero_point = int(state)


def _zero_point(lowest: float, alpha: float, bits: int) -> int:
    """The integer for which a range up to alpha reaches down to `lowest` <= 0, or to -alpha if that is above.

    >>> _zero_point(0.0, 6.0, 4), _zero_point(-0.375, 3.0, 4), _zero_point(-9.0, 3.0, 4)
    (0, 2, 8)
    """
    share = min(-lowest, alpha) / (alpha + min(-lowest, alpha))
    return math.floor(share * ((1 << bits) - 1) + 0.5)


class Affine(nn.Module):
    """Uniform affine fake quantisation, per output channel, range of the weights (paper B eq. 1-3).

    w_q = Delta (clamp(round(w / Delta) + z, 0, N - 1) - z) with N = 2^k levels. Eq. 1 as printed drops the zero-point
    on the way back. The range always holds 0, so that a zero weight stays zero. Straight-through: dw_q/dw = 1, since
    no weight lies outside its own range.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    @torch.no_grad()
    def encode(self, w: Tensor) -> Codes:
        """Quantise w of shape (out, ...) to integers."""
        top = 2**self.bits - 1
        rows = w.flatten(1)
        low, high = rows.amin(1).clamp(max=0), rows.amax(1).clamp(min=0)
        shape = (-1,) + (1,) * (w.dim() - 1)
        delta = ((high - low) / top).clamp(min=torch.finfo(w.dtype).tiny).view(shape)
        zero = (-low.view(shape) / delta).round()
        return Codes(codes=(w / delta).round_().add_(zero).clamp_(0, top), step=delta, zero=zero)

    def forward(self, w: Tensor) -> Tensor:
        """Quantise w of shape (out, ...)."""
        return self.encode(w).weight() + (w - w.detach())  # exactly the quantised value


class LSQ(nn.Module):
    """Learned step size quantisation (Esser et al. 2020), one step per output channel.

    w_q = s * (round(clamp(w / s - o, -2^(k-1), 2^(k-1) - 1)) + o), straight-through in w; the step s learns by the same
    formula. The parameter is log s: s stays positive and a step of Adam is relative to its size.

    The paper has o = 0. Its levels, -2 to 1 at 2 bits, pull the mean of the weights down, and a wide layer behind a
    ReLU is then dead before it has learned; o = 1/2 puts as many levels above 0 as below. At 8 bits the pull is small,
    and whole numbers are what integer arithmetic multiplies with: o = 0.

    >>> LSQ(2, channels=1, dim=2)(torch.tensor([[-9.0, -0.2, 0.2, 9.0]])).tolist()
    [[-1.5, -0.5, 0.5, 1.5]]
    """

    def __init__(self, bits: int, channels: int, dim: int) -> None:
        super().__init__()
        self.bits = bits
        self.lowest, self.highest = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        self.offset = 0.5 if bits < 8 else 0.0
        self.log_step = nn.Parameter(torch.zeros((channels,) + (1,) * (dim - 1)))

    @torch.no_grad()
    def fit(self, w: Tensor) -> None:
        """Set the steps to those of least squared error on w of shape (out, ...), of a grid of 40 shrinkages."""
        rows = w.flatten(1)
        largest = rows.abs().amax(1, keepdim=True).clamp(min=torch.finfo(w.dtype).eps)
        largest /= self.highest + self.offset
        best = torch.full_like(largest, torch.inf)
        step = largest.clone()
        for shrink in SHRINKAGES:
            trial = largest * shrink
            error = (self._levels(rows / trial) * trial - rows).square().sum(1, keepdim=True)
            step = torch.where(error < best, trial, step)
            best = torch.minimum(error, best)
        self.log_step.copy_(step.log().view_as(self.log_step))

    @torch.no_grad()
    def encode(self, w: Tensor) -> Codes:
        """Quantise w of shape (out, ...) to integers."""
        step = self.log_step.exp()
        zero = -self.lowest - self.offset
        return Codes(codes=self._levels(w * (1 / step)) + zero, step=step, zero=zero)

    def forward(self, w: Tensor) -> Tensor:
        """Quantise w of shape (out, ...)."""
        damp = (
            w[0].numel() * (self.highest + self.offset)
        ) ** -0.5  # LSQ section 2.2: balances the steps' gradient and the weights'
        constant = self.log_step.detach()
        step = (constant + (self.log_step - constant) * damp).exp()
        q: Tensor = _Level.apply(_scaled(w, 1 / step), self.lowest, self.highest, self.offset)
        return _scaled(q, step)

    def _levels(self, v: Tensor) -> Tensor:
        """The level next to each value, both in steps."""
        return _level(v, self.lowest, self.highest, self.offset)


def _level(v: Tensor, lowest: int, highest: int, offset: float) -> Tensor:
    return (v - offset).clamp_(lowest, highest).round_().add_(offset)


class _Level(torch.autograd.Function):
    """The level next to each value; straight-through inside the range, 0 outside."""

    @staticmethod
    def forward(ctx: Any, v: Tensor, lowest: int, highest: int, offset: float) -> Tensor:
        ctx.save_for_backward(v)
        ctx.bounds = (lowest + offset, highest + offset)
        return _level(v, lowest, highest, offset)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:
        return torch.ops.aten.hardtanh_backward(grad, *ctx.saved_tensors, *ctx.bounds), None, None, None


class _Scaled(torch.autograd.Function):
    """w times a factor for each output channel, whose gradient takes no temporary of w's size."""

    @staticmethod
    def forward(ctx: Any, w: Tensor, factor: Tensor) -> Tensor:
        ctx.save_for_backward(w, factor)
        return w * factor

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        w, factor = ctx.saved_tensors
        with torch.autocast(w.device.type, enabled=False):  # else a backward within one rounds to bfloat16
            products = torch.bmm(_rows(grad)[:, None], _rows(w)[:, :, None])
        return grad * factor, products.view_as(factor)


def _scaled(w: Tensor, factor: Tensor) -> Tensor:
    scaled: Tensor = _Scaled.apply(w, factor)
    return scaled


def _rows(w: Tensor) -> Tensor:
    """(out, the rest), a view also in channels-last memory."""
    return (w.permute(0, 2, 3, 1) if w.dim() == 4 else w).flatten(1)


def quantise(
    model: nn.Module,
    *,
    w_bits: Mapping[str, int],
    a_bits: Mapping[str, int],
    weight_quantiser: str,
    alpha: float,
    norms: Mapping[str, str],
) -> None:
    """Put quantisers into the model, in place; layers without a width, or with 32, stay as they are.

    `weight_quantiser` is `lsq` or `affine`; `alpha` > 0 every clipping level's start; `norms` names the BatchNorm
    behind a convolution, which is folded into its weight.
    """
    for name, layer in quantisable(model).items():
        if (bits := a_bits.get(name, 32)) < 32:
            layer.input_quantiser = Pact(bits, alpha=alpha)
            layer.register_forward_pre_hook(_quantise_input)
        if (bits := w_bits.get(name, 32)) < 32:
            w = layer.weight
            assert isinstance(w, Tensor)
            quantiser = LSQ(bits, w.shape[0], w.dim()) if weight_quantiser == "lsq" else Affine(bits)
            if name in norms:
                fold(model, name, norms[name], quantiser)
            else:
                parametrize.register_parametrization(layer, "weight", quantiser)


def _quantise_input(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (layer.input_quantiser(args[0]),)  # type: ignore[operator]


def clipping_levels(model: nn.Module) -> list[nn.Parameter]:
    """The alpha of every quantised input, in the model's order."""
    return [m.alpha for m in model.modules() if isinstance(m, Pact)]


@torch.no_grad()
def keep_positive(model: nn.Module) -> None:
    """Lift every alpha to at least `FLOOR`; to be called after each optimiser step."""
    for alpha in clipping_levels(model):
        alpha.clamp_(min=FLOOR)


@torch.no_grad()
def calibrate(model: nn.Module, images: Tensor, *, start: str = "init", percentile: float = 100.0) -> None:
    """Fit the LSQ steps to the weights, and each Pact to what it sees of `images` (n, C, H, W).

    `start` and `percentile` as `Pact.fit` has them. Layers are set in the order in which they run, each behind
    quantised ones. A BatchNorm that saw no image yet takes the statistics of these: else an untrained network would be
    fitted to activations that it has only before its first step.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            quantiser, original = quantiser_of(module)
            inner = quantiser.quantiser if isinstance(quantiser, Folded) else quantiser
            if isinstance(inner, LSQ):
                inner.fit(original)

    def look(pact: nn.Module, args: tuple[Tensor, ...]) -> None:
        assert isinstance(pact, Pact)
        pact.fit(args[0], start=start, percentile=percentile)

    hooks = [m.register_forward_pre_hook(look) for m in model.modules() if isinstance(m, Pact)]
    fresh = [norm for norm in norms_of(model) if not norm.running_mean.any()]  # type: ignore[union-attr]
    with extra_pass(model), gathering(fresh):
        model(images)
    for hook in hooks:
        hook.remove()


def quantiser_of(layer: nn.Module) -> tuple[LSQ | Affine | Folded, Tensor]:
    """The quantiser of a quantised layer's weight, and the float weight that it quantises."""
    chain: Any = layer.parametrizations["weight"]  # type: ignore[index]
    return chain[0], chain.original
