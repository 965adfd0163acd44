"""What a model computes, as a short list of operations that every exporter writes in its own format.

`torch.fx` gives the order of the calls and nothing else: numbers are read from the modules. BatchNorm is folded into
the layer before it, Dropout and stochastic depth do nothing in inference and are left out.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from study_common.errors import UserError
from trainables.deployment.integers import Codes, Grid, codes_of, grid_of
from trainables.models.catalogue import HardSigmoid
from trainables.quantisation.folding import FoldedNorm


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A convolution or a matrix product, with what follows of a BatchNorm folded in."""

    name: str
    codes: Codes | None
    """The weight in integers; None if it is `weight`."""
    weight: np.ndarray
    """float32 (out, in / groups, height, width), or (out, in) of a matrix product"""
    bias: np.ndarray | None
    """float32 (out,)"""
    grid: Grid | None
    """The levels of its input; None for one of 32 bits, and for the image."""
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def is_convolution(self) -> bool:
        """Whether it is a convolution."""
        return self.weight.ndim == 4


@dataclass(frozen=True, kw_only=True)
class Operation:
    """One step of the computation."""

    name: str
    kind: str
    """`image`, `layer`, `add`, `mul`, `max_pool`, `mean` over the map, `flatten`, or the name of an `ACTIVATIONS`."""
    inputs: tuple[str, ...]
    shape: tuple[int, ...]
    """Of its output, without the batch: (channels, height, width) or (features,)."""
    layer: Layer | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of `max_pool`: kernel, stride, padding; of `mean`: keep; of `flatten`: channels_last."""


ACTIVATIONS: dict[Any, str] = {
    nn.ReLU: "relu", nn.Hardswish: "hardswish", nn.SiLU: "silu", HardSigmoid: "hardsigmoid",
    nn.Sigmoid: "sigmoid", F.relu: "relu", torch.relu: "relu",
}  # fmt: skip
NOTHING = ("Identity", "Dropout", "StochasticDepth")
"""The classes of modules that do nothing in inference."""
ARITHMETIC = {
    operator.add: "add",
    operator.iadd: "add",
    torch.add: "add",
    operator.mul: "mul",
    torch.mul: "mul",
}


class _Tracer(fx.Tracer):
    """Follows a model down to the modules that we know."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d | nn.Linear) or not list(m.children())

    def to_bool(self, obj: fx.Proxy) -> bool:
        return False  # a branch on the input's shape, as PaperCNN has one for its memory format


def operations(model: nn.Module, signature: tuple[int, int, int]) -> list[Operation]:
    """List what a model in evaluation mode does to an image of `signature` (channels, size, classes).

    Raises:
        UserError: It does what no format can express; the message names it.
    """
    channels, size, _ = signature
    try:
        graph = fx.GraphModule(model, _Tracer().trace(model))
    except Exception as error:  # a user's model may do anything
        said = " ".join(str(error).split()) or type(error).__name__
        raise UserError(
            f"torch.fx cannot follow {type(model).__name__} ({said}), so it has no form in an exported graph; leave "
            "out what depends on values of the image, or export packed"
        ) from None
    with torch.no_grad():
        ShapeProp(graph).propagate(torch.zeros(2, channels, size, size))
    found: dict[fx.Node, Operation] = {}
    for node in graph.graph.nodes:
        if node.op != "output" and hasattr(node.meta.get("tensor_meta"), "shape"):
            found[node] = _operation(node, model, found)
    network = list({step.name: step for step in found.values()}.values())  # a layer and its norm are one
    readers = users(network)
    return [step for step in network if readers[step.name] or step is network[-1]]


def users(network: list[Operation]) -> dict[str, list[Operation]]:
    """Return for each operation, by name, those that read its output."""
    readers: dict[str, list[Operation]] = {step.name: [] for step in network}
    for step in network:
        for name in step.inputs:
            readers[name].append(step)
    return readers


def layers(network: list[Operation]) -> list[Layer]:
    """Return the layers in order."""
    return [step.layer for step in network if step.layer]


def _operation(node: fx.Node, model: nn.Module, found: dict[fx.Node, Operation]) -> Operation:
    shape = tuple(node.meta["tensor_meta"].shape[1:])
    if node.op == "placeholder":
        return Operation(name="image", kind="image", inputs=(), shape=shape)
    sources = [found[n] for n in node.all_input_nodes if n in found]
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        if type(module).__name__ in NOTHING:
            return sources[0]
        if isinstance(module, nn.BatchNorm2d):
            return _fold(node, sources[0], module, found)
        return _of_module(node, module, sources[0], shape)
    return _of_call(node, sources, shape)


def _of_module(node: fx.Node, module: nn.Module, source: Operation, shape: tuple[int, ...]) -> Operation:
    name = str(node.target)
    made = Operation(name=node.name, kind="", inputs=(source.name,), shape=shape)
    if isinstance(module, nn.Conv2d | nn.Linear):
        return replace(made, name=name, kind="layer", layer=_layer(name, module))
    if type(module) in ACTIVATIONS:
        return replace(made, kind=ACTIVATIONS[type(module)])
    if isinstance(module, nn.MaxPool2d) and not module.ceil_mode and module.dilation == 1:
        return replace(
            made, kind="max_pool", options=_pool(module.kernel_size, module.stride, module.padding)
        )
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        return _flatten(made, source)
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return replace(made, kind="mean", options={"keep": True})
    raise _inexpressible(name, type(module).__name__)


def _of_call(node: fx.Node, sources: list[Operation], shape: tuple[int, ...]) -> Operation:
    made = Operation(name=node.name, kind="", inputs=tuple(s.name for s in sources), shape=shape)
    target: Any = node.target
    if target in ARITHMETIC and len(sources) == 2:
        return replace(made, kind=ARITHMETIC[target])
    if target in ACTIVATIONS:
        return replace(made, kind=ACTIVATIONS[target])
    if target is F.max_pool2d and not node.kwargs.get("ceil_mode") and node.kwargs.get("dilation", 1) == 1:
        size = node.args[1] if len(node.args) > 1 else node.kwargs["kernel_size"]
        return replace(
            made,
            kind="max_pool",
            options=_pool(size, node.kwargs.get("stride"), node.kwargs.get("padding", 0)),
        )
    if target == "mean":
        given = dict(zip(("dim", "keepdim"), node.args[1:], strict=False)) | dict(node.kwargs)
        dims = given.get("dim")
        if isinstance(dims, list | tuple) and tuple(dims) in ((2, 3), (-2, -1)):
            return replace(made, kind="mean", options={"keep": bool(given.get("keepdim"))})
    if target == "permute" and node.args[1:] == (0, 2, 3, 1):
        return replace(made, kind="permute")
    if target in ("flatten", torch.flatten):
        given = dict(zip(("start_dim", "end_dim"), node.args[1:], strict=False)) | dict(node.kwargs)
        if given.get("start_dim") == 1 and given.get("end_dim", -1) == -1:
            return _flatten(made, sources[0])
    raise _inexpressible(node.name, getattr(target, "__name__", str(target)))


def _flatten(made: Operation, source: Operation) -> Operation:
    last = source.kind == "permute"
    inputs = source.inputs if last else made.inputs
    return replace(made, kind="flatten", inputs=inputs, options={"channels_last": last})


def _pool(kernel: Any, stride: Any, padding: Any) -> dict[str, tuple[int, int]]:
    return {"kernel": _pair(kernel), "stride": _pair(stride or kernel), "padding": _pair(padding)}


@torch.no_grad()
def _layer(name: str, module: nn.Conv2d | nn.Linear) -> Layer:
    if isinstance(module, nn.Conv2d) and type(module).forward is not nn.Conv2d.forward:
        raise _inexpressible(name, f"{type(module).__name__} with a forward of its own")
    bias = None if module.bias is None else _array(module.bias)
    made = Layer(
        name=name, codes=codes_of(module), weight=_array(module.weight), bias=bias, grid=grid_of(module)
    )
    if isinstance(module, nn.Linear):
        return made
    if isinstance(module.padding, str) or module.padding_mode != "zeros":
        raise _inexpressible(name, f"padding {module.padding!r}, {module.padding_mode}")
    return replace(
        made, stride=_pair(module.stride), padding=_pair(module.padding), dilation=_pair(module.dilation),
        groups=module.groups,
    )  # fmt: skip


@torch.no_grad()
def _fold(
    node: fx.Node, source: Operation, norm: nn.BatchNorm2d, found: dict[fx.Node, Operation]
) -> Operation:
    """The layer before with the norm in it; a norm behind anything else cannot be folded."""
    layer = source.layer
    if layer is None or len(node.all_input_nodes[0].users) > 1:
        raise _inexpressible(str(node.target), "BatchNorm that follows no convolution alone")
    bias = np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias
    if isinstance(norm, FoldedNorm):
        folded = replace(layer, bias=bias + _array(norm.shift))
    else:
        assert layer.codes is None, "a quantised convolution has its norm in the steps"
        assert norm.running_var is not None
        assert norm.running_mean is not None
        scale = _array(norm.weight / (norm.running_var + norm.eps).sqrt())
        shift = _array(norm.bias) - _array(norm.running_mean) * scale
        folded = replace(layer, weight=layer.weight * scale.reshape(-1, 1, 1, 1), bias=bias * scale + shift)
    merged = replace(source, layer=folded)
    for earlier, step in found.items():
        if step is source:
            found[earlier] = merged
    return merged


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().contiguous().numpy()


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))


def _inexpressible(name: str, what: str) -> UserError:
    return UserError(
        f"{name} ({what}) has no form in an exported graph; replace it by a layer of docs/edge.md, or export packed"
    )
