"""Quantisers of several widths for each layer, of which a network uses one at a time.

The network stays an ordinary quantised one: `select` exchanges its quantisers, the float weights are the same for all
widths. Whatever trains or measures a quantised network does so here too, at the widths that are selected.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from trainables.quantisation.folding import Folded
from trainables.quantisation.quantisers import Pact, quantise, quantiser_of, weight_quantiser_of

Widths = Mapping[str, Sequence[int]]
"""The widths that each layer can have, by its name."""
UNTOUCHED = 32


class Untouched(nn.Module):
    """Width 32 beside others: the weight or the input as it is."""

    bits = UNTOUCHED

    def forward(self, x: Tensor) -> Tensor:
        """Return x, of any shape."""
        return x


class AnyWidth(nn.Module):
    """The quantisers of a network, one per layer and width: a step of its own (LSQ) and an alpha of its own (PACT).

    Args:
        model: A float model; it is quantised in place, and may be selected to other widths from then on.
        w_widths: The widths of each layer's weight; a layer with width 32 alone, or without any, stays as it is.
        a_widths: The widths of each layer's input; likewise.
        weight_quantiser: One of `choices.WEIGHT_QUANTISERS`.
        alpha: The initial value of every clipping level, above 0.
        norms: The name of the BatchNorm behind each convolution, which is folded into its weight (`folding`).
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        w_widths: Widths,
        a_widths: Widths,
        weight_quantiser: str,
        alpha: float,
        norms: Mapping[str, str],
    ) -> None:
        super().__init__()
        first = [
            {layer: min(widths) for layer, widths in of.items() if min(widths) < UNTOUCHED}
            for of in (w_widths, a_widths)
        ]
        shapes: dict[str, Any] = {layer: model.get_submodule(layer).weight for layer in first[0]}
        quantise(
            model, w_bits=first[0], a_bits=first[1], weight_quantiser=weight_quantiser, alpha=alpha, norms=norms
        )  # fmt: skip
        self.weights = nn.ModuleDict(
            {
                place(layer, bits): Untouched()
                if bits == UNTOUCHED
                else weight_quantiser_of(weight_quantiser, bits, shapes[layer])
                for layer in first[0]
                for bits in w_widths[layer]
            }
        )
        self.inputs = nn.ModuleDict(
            {
                place(layer, bits): Untouched() if bits == UNTOUCHED else Pact(bits, alpha=alpha)
                for layer in first[1]
                for bits in a_widths[layer]
            }
        )
        self.select(model, *first)

    def select(self, model: nn.Module, w_bits: Mapping[str, int], a_bits: Mapping[str, int]) -> None:
        """Give a network the quantisers of these widths.

        Args:
            model: The network that this was made for, which is changed in place.
            w_bits: The width in bits of the weight, by layer, one of its widths.
            a_bits: The width in bits of the input, by layer; likewise.
        """
        for layer, bits in w_bits.items():
            if place(layer, bits) in self.weights:
                module = model.get_submodule(layer)
                quantiser, _ = quantiser_of(module)
                chosen = self.weights[place(layer, bits)]
                if isinstance(quantiser, Folded):
                    quantiser.quantiser = chosen
                    quantiser.norm[0].is_folded = bits < UNTOUCHED
                else:
                    chain: Any = module.parametrizations["weight"]  # type: ignore[index]
                    chain[0] = chosen
        for layer, bits in a_bits.items():
            if place(layer, bits) in self.inputs:
                model.get_submodule(layer).input_quantiser = self.inputs[place(layer, bits)]


def place(layer: str, bits: int) -> str:
    """Return the name of a quantiser in `AnyWidth`, whose modules cannot have dots in their names.

    >>> place("layer1.0.conv2", 4)
    'layer1/0/conv2:4'
    """
    return f"{layer.replace('.', '/')}:{bits}"


def is_of_quantiser(name: str) -> bool:
    """Tell whether a tensor of a quantised network belongs to a quantiser.

    >>> is_of_quantiser("conv1.parametrizations.weight.0.log_step"), is_of_quantiser("fc1.input_quantiser.alpha")
    (True, True)
    >>> is_of_quantiser("conv1.parametrizations.weight.original")
    False
    """
    return ".parametrizations.weight.0." in name or ".input_quantiser." in name


def own_tensors(
    tensors: Mapping[str, Tensor], own: Sequence[str], w_bits: Mapping[str, int], a_bits: Mapping[str, int]
) -> dict[str, Tensor]:
    """Return what a network of one configuration takes from a network of any width, by the names of the former.

    Args:
        tensors: Those of the network, and under "any_width." those of its `AnyWidth`.
        own: The names of the state of an ordinary quantised network of the same model.
        w_bits: The widths of its weights, by layer.
        a_bits: The widths of its inputs, by layer.

    Raises:
        KeyError: There are no quantisers of such a width, or the model is another one.
    """
    found = {}
    for name in own:
        layer, _, rest = name.partition(".parametrizations.weight.0.")
        if rest:
            of = rest.removeprefix("quantiser.")
            found[name] = tensors[f"any_width.weights.{place(layer, w_bits[layer])}.{of}"]
            continue
        layer, _, rest = name.partition(".input_quantiser.")
        if rest:
            found[name] = tensors[f"any_width.inputs.{place(layer, a_bits[layer])}.{rest}"]
            continue
        twin = name if name in tensors else f"{name.removesuffix('weight')}parametrizations.weight.original"
        found[name] = tensors[twin]
    return found
