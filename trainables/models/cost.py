"""What a configuration costs to run, known before it is trained: MACs, effective FLOPs, bit-operations, bytes."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from trainables.models.calls import each_called_once
from trainables.models.catalogue import norms, quantisable, sample


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One Conv2d or Linear, counted for one image."""

    name: str
    macs: int
    """Multiply-accumulates."""
    weights: int
    """Numbers in the weight tensor."""
    channels: int
    """Output channels; each has its own scale."""
    biases: int
    normed: bool = False
    """Whether a BatchNorm follows; it is folded into a quantised weight, except for one number per channel."""


@dataclass(frozen=True, kw_only=True)
class Inventory:
    """The parts of a model that determine its cost."""

    layers: tuple[Layer, ...]
    others: int
    """Numbers outside Conv2d and Linear, such as those of BatchNorm; they stay float32."""


@lru_cache(maxsize=32)
def inventory(model: str, channels: int, size: int, classes: int) -> Inventory:
    """Count the parts of a float model, MACs from the shapes of a forward pass.

    Args:
        model: As for `catalogue.build`.
        channels: Of the images, 1 or 3.
        size: Height and width of the images, in pixels.
        classes: The number of classes.

    Returns:
        The quantisable layers in the order of the model, and the count of all other numbers.

    >>> [layer.macs for layer in inventory("paper_cnn", 1, 28, 10).layers]
    [194688, 10616832, 1179648, 1280]
    """
    network, X = sample(model, channels=channels, size=size, classes=classes)
    normed = norms(model, channels, size, classes)
    counted: dict[str, int] = {}
    named = quantisable(network)
    for name, layer in named.items():
        layer.register_forward_hook(lambda m, _, out, name=name: counted.update({name: _macs(m, out)}))
    with each_called_once(named), torch.no_grad():
        network(X)
    rows = tuple(_row(name, layer, counted[name], name in normed) for name, layer in named.items())
    numbers = sum(t.numel() for t in network.state_dict().values() if t.is_floating_point())
    return Inventory(layers=rows, others=numbers - sum(row.weights + row.biases for row in rows))


def _macs(layer: nn.Module, out: Tensor) -> int:
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return out.numel() * weight[0].numel()


def _row(name: str, layer: nn.Module, macs: int, normed: bool) -> Layer:
    weight, bias = layer.weight, layer.bias
    assert isinstance(weight, Tensor)
    biases = bias.numel() if isinstance(bias, Tensor) else 0
    return Layer(
        name=name, macs=macs, weights=weight.numel(), channels=weight.shape[0], biases=biases, normed=normed
    )


def costs(
    model: Inventory, w_bits: Mapping[str, int], a_bits: Mapping[str, int], *, weight_quantiser: str
) -> dict[str, int | float]:
    """Return the cost of one image, and of the packed file.

    macs        multiply-accumulates of Conv2d and Linear
    flops       effective FLOPs of paper B: sum of macs * w_bits / 32
    bops        sum of macs * w_bits * a_bits; the first layer reads the 8-bit image
    size_bytes  sum of ceil(n * w_bits / 8), plus 4 bytes for each scale, zero-point, bias and alpha, and for each
                number outside Conv2d and Linear; a BatchNorm behind a quantised layer is one number per channel

    Args:
        model: The inventory of the float model.
        w_bits: The width in bits of the weight, by layer; 32 where none is named.
        a_bits: The width in bits of the input, by layer; 32 where none is named.
        weight_quantiser: One of `choices.WEIGHT_QUANTISERS`: `affine` has a zero-point beside each scale.

    >>> model = inventory("paper_cnn", 1, 28, 10)
    >>> costs(model, {"conv1": 4, "conv2": 4}, {"conv2": 4, "fc1": 4}, weight_quantiser="lsq")["flops"]
    2532368.0
    """
    macs = flops = bops = 0
    size = 4 * model.others
    for number, layer in enumerate(model.layers):
        w = w_bits.get(layer.name, 32)
        a = a_bits.get(layer.name, 32) if number else 8
        scales = {"affine": 2}.get(weight_quantiser, 1) * layer.channels if w < 32 else 0
        alphas = int(number > 0 and a < 32)
        folded = 3 * layer.channels if layer.normed and w < 32 else 0
        macs += layer.macs
        flops += layer.macs * w
        bops += layer.macs * w * a
        size += -(-layer.weights * w // 8) + 4 * (scales + alphas + layer.biases - folded)
    return {"macs": macs, "flops": flops / 32, "bops": bops, "size_bytes": size}
