"""Quantisation: PACT on the input of a layer, straight-through quantisers on its weights.

`quantise` changes a model in place, layer by layer. The weight becomes a PyTorch parametrisation, so that
`layer.weight` *is* what the layer multiplies with; the input passes a `Pact` of the layer's own, so that two
layers behind one ReLU never share a clipping level. `calibrate` then sets every scale from one batch of images.

w_bits and a_bits are widths in {2, 3, 4, 6, 8, 32}; 32 means untouched. The input of the first layer is the
8-bit image itself and has no quantiser.
"""

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

SHRINKAGES = torch.linspace(
    0.1, 1.0, 40
).tolist()  # of the largest value, searched for the least squared error
ROUNDING = 2.0**-20  # alpha * (steps / alpha) may fall short of steps by so much; it is clipped all the same
FLOOR = 1e-3  # alpha never falls below this: at 0 every activation is clipped and no gradient returns


class _ClipRound(torch.autograd.Function):
    """Clip to [lowest, steps] steps of alpha / `steps` each, and round to whole ones; PACT's gradients.

    One function where plain tensor operations would need a dozen passes over the activations; its backward is made
    of differentiable operations, so that the double backward of lambda2 goes through it. alpha stays a tensor: to
    read its value would make a GPU wait for the host, and a graph could not be exported.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, alpha: Tensor, lowest: int, steps: int) -> Tensor:
        v = (x * (torch.full_like(alpha, steps) / alpha)).clamp_(lowest, steps)  # one rounding, not two
        ctx.save_for_backward(v)
        ctx.lowest, ctx.steps = lowest, steps
        return v.round().mul_(alpha / steps)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        (v,) = ctx.saved_tensors
        top = ctx.steps * (1 - ROUNDING)
        passed = torch.ops.aten.hardtanh_backward(grad, v, ctx.lowest * (1 - ROUNDING), top)
        clipped = torch.ops.aten.threshold_backward(grad, v, top).sum()
        if ctx.lowest < 0:
            clipped = clipped - torch.ops.aten.threshold_backward(grad, -v, top).sum()
        return passed, clipped.float(), None, None


class Pact(nn.Module):
    """PACT (Choi et al. 2018; seed A eq. 1-2, seed B eq. 6) with a learnable clipping level alpha > 0.

    Unsigned inputs: y = clip(x, 0, alpha) on 2^k levels, y_q = round(y (2^k - 1) / alpha) alpha / (2^k - 1).
    Signed inputs: y = clip(x, -alpha, alpha) on 2^k - 1 symmetric levels.
    Gradients are straight-through: dy/dx is 1 inside the range, else 0; dy/dalpha is 1 where x >= alpha, -1 where
    x <= -alpha of a signed input, else 0 (PACT eq. 3).

    >>> pact = Pact(2, alpha=3.0)
    >>> pact(torch.tensor([-1.0, 0.4, 0.6, 2.0, 9.0])).tolist()
    [0.0, 0.0, 1.0, 2.0, 3.0]
    """

    lower: Tensor

    def __init__(self, bits: int, *, alpha: float, signed: bool = False) -> None:
        super().__init__()
        self.bits = bits
        self.alpha = nn.Parameter(torch.tensor(float(alpha)))
        self.register_buffer("lower", torch.tensor(-1.0 if signed else 0.0))
        self.signed = signed
        self.register_load_state_dict_post_hook(_read_sign)  # type: ignore[no-untyped-call]

    @torch.no_grad()
    def fit(self, x: Tensor, *, start: str, percentile: float) -> None:
        """Set the range to what is seen of x: signed if x is ever negative; alpha as `start` of `ALPHA_STARTS` says."""
        self.lower.fill_(-1.0 if x.min() < 0 else 0.0)
        _read_sign(self)
        sizes = x.float().abs().flatten()
        if start == "percentile":
            rank = max(1, round(sizes.numel() * percentile / 100))
            self.alpha.copy_(sizes.kthvalue(rank).values.clamp(min=FLOOR))
        elif start == "mse":
            largest, errors = sizes.max().clamp(min=FLOOR), {}
            for shrink in SHRINKAGES:
                self.alpha.copy_(largest * shrink)
                errors[shrink] = (self.forward(sizes) - sizes).square().sum().item()
            self.alpha.copy_(largest * min(errors, key=errors.__getitem__))

    def forward(self, x: Tensor) -> Tensor:
        """Quantise x of any shape; same shape and dtype back."""
        steps = 2 ** (self.bits - 1) - 1 if self.signed else 2**self.bits - 1
        quantised: Tensor = _ClipRound.apply(x, self.alpha, -steps if self.signed else 0, steps)
        return quantised


def _read_sign(pact: nn.Module, *_: object) -> None:
    """Keep the sign of the range, a buffer, as a Python value too: a pass reads it without waiting for a GPU."""
    assert isinstance(pact, Pact)
    pact.signed = bool(pact.lower < 0)


class Affine(nn.Module):
    """Uniform affine fake quantisation, per output channel, range of the weights (seed B eq. 1-3).

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
