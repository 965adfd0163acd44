"""Quantisation: PACT on the input of a layer, straight-through quantisers on its weights.

`quantise` changes a model in place, layer by layer. The weight becomes a PyTorch parametrisation, so that
`layer.weight` *is* what the layer multiplies with. The input passes through a `Pact` of the layer's own, so that two
layers behind one ReLU never share a clipping level. `calibrate` then sets every scale from one batch of images.

w_bits and a_bits are widths in {2, 3, 4, 6, 8, 32}; 32 means not quantised. The input of the first layer is the
8-bit image itself and has no quantiser.
"""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.utils import parametrize

from trainables.models.calls import each_called_once
from trainables.models.catalogue import quantisable
from trainables.models.passes import extra_pass
from trainables.quantisation.batchnorm import gathering, norms_of
from trainables.quantisation.folding import Codes, Folded, fold

SHRINKAGES = torch.linspace(0.1, 1.0, 40).tolist()
"""Fractions of the largest value, which are searched for the step of least squared error."""
SEARCHED = 2**18
"""Activations per layer that the search for the alpha of least squared error uses."""
ROUNDING = 2.0**-20
"""alpha * (top / alpha) may fall short of `top` by this share; such a value counts as clipped."""
FLOOR = 1e-3
"""alpha never falls below this: at 0 every activation is clipped and no gradient returns."""


class _ClipRound(torch.autograd.Function):
    """Clip to [lowest, top] steps of alpha / top each, and round to whole steps; with the gradients of PACT.

    It is one function, because plain tensor operations would read the activations a dozen times. Its backward consists
    of differentiable operations, so that the double backward of lambda2 works. alpha stays a tensor: reading its value
    would make the GPU and the host wait for each other, and the graph could not be exported.
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
    alpha. With z = 0 this is PACT (Choi et al. 2018; paper A eq. 1-2, paper B eq. 6). `fit` chooses z > 0 for inputs
    that can be negative, such as those behind SiLU or Hardswish. The gradients are straight-through: dy/dx is 1 inside
    the range and 0 elsewhere; dy/dalpha is 1 where x >= alpha, -z / (N - 1 - z) where x <= -z s, and 0 elsewhere (PACT
    eq. 3).

    Args:
        bits: The width k in bits, at least 2.
        alpha: The initial clipping level, above 0, in units of the input.
        zero_point: The code z of the value 0, an integer in [0, 2^(k-1)].

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
        """Set alpha and the zero-point from observed inputs.

        The range extends down to the smallest value in x, but not below -alpha; the zero-point is the nearest integer.

        Args:
            x: Inputs of the layer, of any shape.
            start: One of `choices.ALPHA_STARTS`: `init` keeps alpha, `percentile` takes that percentile of |x|, `mse`
                searches for the least squared error.
            percentile: The percentile of |x|, in (0, 100]; used by the start `percentile` only.
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
        """Choose the best alpha of a grid, each with the zero-points on both sides of the exact one."""
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
        """Quantise x.

        Args:
            x: Activations, of any shape.

        Returns:
            The quantised activations, of the same shape and dtype.
        """
        quantised: Tensor = _ClipRound.apply(x, self.alpha, -self.zero_point, self.top)
        return quantised

    def get_extra_state(self) -> Tensor:
        """Return the zero-point for a state dict; it is not a buffer, because a forward pass needs it on the host."""
        return torch.tensor(self.zero_point)

    def set_extra_state(self, state: Tensor) -> None:
        """Set the zero-point from a state dict."""
        self.zero_point = int(state)


def _zero_point(lowest: float, alpha: float, bits: int) -> int:
    """Return the integer for which a range up to alpha extends down to `lowest` <= 0, or to -alpha if that is higher.

    >>> _zero_point(0.0, 6.0, 4), _zero_point(-0.375, 3.0, 4), _zero_point(-9.0, 3.0, 4)
    (0, 2, 8)
    """
    share = min(-lowest, alpha) / (alpha + min(-lowest, alpha))
    return math.floor(share * ((1 << bits) - 1) + 0.5)


class Affine(nn.Module):
    """Uniform affine fake quantisation per output channel, over the range of its weights (paper B eq. 1-3).

    w_q = Delta (clamp(round(w / Delta) + z, 0, N - 1) - z) with N = 2^k levels. Eq. 1 as printed does not subtract the
    zero-point z again. The range always includes 0, so that a zero weight stays zero. The gradient is
    straight-through: dw_q/dw = 1 everywhere, because no weight lies outside its own range.

    Args:
        bits: The width k in bits, at least 2.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits

    @torch.no_grad()
    def encode(self, w: Tensor) -> Codes:
        """Quantise a weight w, (out, ...), to integers in [0, 2^k - 1]."""
        top = 2**self.bits - 1
        rows = w.flatten(1)
        low, high = rows.amin(1).clamp(max=0), rows.amax(1).clamp(min=0)
        shape = (-1,) + (1,) * (w.dim() - 1)
        delta = ((high - low) / top).clamp(min=torch.finfo(w.dtype).tiny).view(shape)
        zero = (-low.view(shape) / delta).round()
        return Codes(codes=(w / delta).round_().add_(zero).clamp_(0, top), step=delta, zero=zero)

    def forward(self, w: Tensor) -> Tensor:
        """Quantise a weight w, (out, ...); the same shape and dtype are returned."""
        return self.encode(w).weight() + (w - w.detach())  # exactly the quantised value


class LSQ(nn.Module):
    """Learned step size quantisation (LSQ; Esser et al. 2020), with one step per output channel.

    w_q = s * (round(clamp(w / s - o, -2^(k-1), 2^(k-1) - 1)) + o). The gradient is straight-through in w, and
    the step s is learned by differentiating the same formula. The parameter is log s, so that s stays
    positive and an update of Adam is relative to its size.

    LSQ has the offset o = 0. Its levels at 2 bits, -2 to 1, shift the mean of the weights down, and a wide layer behind
    a ReLU is then dead before training starts. With o = 1/2 there are as many levels above 0 as below. At 8 bits the
    shift is small and integer arithmetic needs integers, so o = 0.

    With `integer` the levels are -(2^(k-1) - 1) to 2^(k-1) - 1, whole and as many above 0 as below: the lowest is given
    up. Devices whose weights have no zero-point take these.

    Args:
        bits: The width k in bits, at least 2.
        channels: The number of output channels.
        dim: The number of dimensions of the weight: 4 for a convolution, 2 for a linear layer.
        integer: Whether all levels are whole and symmetric.

    >>> LSQ(2, channels=1, dim=2)(torch.tensor([[-9.0, -0.2, 0.2, 9.0]])).tolist()
    [[-1.5, -0.5, 0.5, 1.5]]
    >>> LSQ(2, channels=1, dim=2, integer=True)(torch.tensor([[-9.0, -0.2, 0.2, 9.0]])).tolist()
    [[-1.0, 0.0, 0.0, 1.0]]
    """

    def __init__(self, bits: int, channels: int, dim: int, *, integer: bool = False) -> None:
        super().__init__()
        self.bits = bits
        self.highest = 2 ** (bits - 1) - 1
        self.lowest = -self.highest if integer else -self.highest - 1
        self.offset = 0.5 if bits < 8 and not integer else 0.0
        self.log_step = nn.Parameter(torch.zeros((channels,) + (1,) * (dim - 1)))

    @torch.no_grad()
    def fit(self, w: Tensor) -> None:
        """Set each step to that of least squared error, from the grid `SHRINKAGES`.

        Args:
            w: The weight, (out, ...).
        """
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
        """Quantise a weight w, (out, ...), to integers in [0, 2^k - 1]."""
        step = self.log_step.exp()
        zero = self.highest + 1 - self.offset
        return Codes(codes=self._levels(w * (1 / step)) + zero, step=step, zero=zero)

    def forward(self, w: Tensor) -> Tensor:
        """Quantise a weight w, (out, ...); the same shape and dtype are returned."""
        # LSQ section 2.2: the gradients of steps and weights then have similar sizes.
        damp = (w[0].numel() * (self.highest + self.offset)) ** -0.5
        constant = self.log_step.detach()
        step = (constant + (self.log_step - constant) * damp).exp()
        q: Tensor = _Level.apply(_scaled(w, 1 / step), self.lowest, self.highest, self.offset)
        return _scaled(q, step)

    def _levels(self, v: Tensor) -> Tensor:
        """Return the level nearest to each value, both in units of the step."""
        return _level(v, self.lowest, self.highest, self.offset)


def _level(v: Tensor, lowest: int, highest: int, offset: float) -> Tensor:
    return (v - offset).clamp_(lowest, highest).round_().add_(offset)


class _Level(torch.autograd.Function):
    """The level nearest to each value; the gradient is straight-through inside the range and 0 outside."""

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
    """w times one factor per output channel; the gradient of the factor needs no temporary of the size of w."""

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
    """Return w as (out, the rest): a view, also if its memory is channels-last."""
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
    """Put quantisers into a model, in place.

    Args:
        model: A float model.
        w_bits: The width in bits of the weight, by layer; layers without one, or with 32, are not quantised.
        a_bits: The width in bits of the input, by layer; likewise.
        weight_quantiser: One of `choices.WEIGHT_QUANTISERS`.
        alpha: The initial value of every clipping level, above 0.
        norms: The name of the BatchNorm behind each convolution, which is folded into its weight (`folding`).
    """
    for name, layer in quantisable(model).items():
        if (bits := a_bits.get(name, 32)) < 32:
            layer.input_quantiser = Pact(bits, alpha=alpha)
            layer.register_forward_pre_hook(_quantise_input)
        if (bits := w_bits.get(name, 32)) < 32:
            w = layer.weight
            assert isinstance(w, Tensor)
            quantiser = weight_quantiser_of(weight_quantiser, bits, w)
            if name in norms:
                fold(model, name, norms[name], quantiser)
            else:
                parametrize.register_parametrization(layer, "weight", quantiser)


def weight_quantiser_of(kind: str, bits: int, w: Tensor) -> LSQ | Affine:
    """Return a quantiser for a weight w, (out, ...).

    Args:
        kind: One of `choices.WEIGHT_QUANTISERS`.
        bits: The width in bits, at least 2 and below 32.
        w: The weight, of which the shape counts.
    """
    if kind == "affine":
        return Affine(bits)
    return LSQ(bits, w.shape[0], w.dim(), integer=kind == "lsq_integer")


def _quantise_input(layer: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor]:
    return (layer.input_quantiser(args[0]),)  # type: ignore[operator]


def clipping_levels(model: nn.Module) -> list[nn.Parameter]:
    """Return the alpha of every quantised input, in the order of the model."""
    return [m.alpha for m in model.modules() if isinstance(m, Pact)]


@torch.no_grad()
def keep_positive(model: nn.Module) -> None:
    """Raise every alpha to at least `FLOOR`; call this after each step of the optimiser."""
    for alpha in clipping_levels(model):
        alpha.clamp_(min=FLOOR)


@torch.no_grad()
def calibrate(model: nn.Module, images: Tensor, *, start: str = "init", percentile: float = 100.0) -> None:
    """Fit the LSQ steps to the weights, and each Pact to its inputs.

    Layers are fitted in the order in which they run, each behind layers that are quantised already. A BatchNorm without
    statistics gets those of these images: otherwise an untrained network would be fitted to activations that it has
    only before its first step.

    Args:
        model: A model with quantisers, which is changed in place.
        images: (n, C, H, W), normalised.
        start: See `Pact.fit`.
        percentile: See `Pact.fit`.

    Raises:
        UserError: A layer with a quantised input is not called exactly once in a pass.
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
    quantised = {name: m for name, m in quantisable(model).items() if hasattr(m, "input_quantiser")}
    fresh = [norm for norm in norms_of(model) if not norm.running_mean.any()]  # type: ignore[union-attr]
    try:
        with each_called_once(quantised), extra_pass(model), gathering(fresh):
            model(images)
    finally:
        for hook in hooks:
            hook.remove()


def quantiser_of(layer: nn.Module) -> tuple[LSQ | Affine | Folded, Tensor]:
    """Return the quantiser of a layer's quantised weight, and the float weight that it quantises."""
    chain: Any = layer.parametrizations["weight"]  # type: ignore[index]
    return chain[0], chain.original
