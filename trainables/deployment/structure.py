"""What a model computes, as a short list of operations.

`torch.fx` gives the order of the calls and nothing else: numbers are read from the modules. BatchNorm is folded into
the layer before it where it can be, Dropout and stochastic depth do nothing in inference and are left out.
"""

import operator
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.fx.passes.shape_prop import ShapeProp

from study_common.errors import UserError
from trainables.deployment.integers import codes_of, grid_of
from trainables.deployment.operations import Layer, Operation, inexpressible, users
from trainables.models.catalogue import HardSigmoid
from trainables.quantisation.folding import FoldedNorm

ACTIVATIONS: dict[Any, str] = {
    nn.ReLU: "relu", nn.ReLU6: "relu6", nn.Hardswish: "hardswish", nn.SiLU: "silu", HardSigmoid: "hardsigmoid",
    nn.Sigmoid: "sigmoid", F.relu: "relu", torch.relu: "relu", F.relu6: "relu6",
}  # fmt: skip
NOTHING = ("Identity", "Dropout", "StochasticDepth")
"""The classes of modules that do nothing in inference."""
Norm = nn.BatchNorm1d | nn.BatchNorm2d
ARITHMETIC = {
    operator.add: "add",
    operator.iadd: "add",
    torch.add: "add",
    operator.mul: "mul",
    torch.mul: "mul",
}
POOLS: dict[Any, tuple[str, tuple[str, ...]]] = {
    F.max_pool2d: ("max_pool", ("kernel_size", "stride", "padding", "dilation", "ceil_mode")),
    F.avg_pool2d: (
        "avg_pool", ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    ),
}  # fmt: skip
"""The functions that are pools, with the names of their arguments after the input."""


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
    network = [step for step in network if readers[step.name] or step is network[-1]]
    for step in network:
        if step.kind == "permute":
            raise inexpressible(step.name, "permute that no flattening follows")
    return network


def _operation(node: fx.Node, model: nn.Module, found: dict[fx.Node, Operation]) -> Operation:
    shape = tuple(node.meta["tensor_meta"].shape[1:])
    if node.op == "placeholder":
        return Operation(name="image", kind="image", inputs=(), shape=shape)
    sources = [found[n] for n in node.all_input_nodes if n in found]
    if node.op == "call_module":
        module = model.get_submodule(str(node.target))
        if type(module).__name__ in NOTHING:
            return sources[0]
        if isinstance(module, nn.BatchNorm2d) or (isinstance(module, nn.BatchNorm1d) and len(shape) == 1):
            return _normed(node, sources[0], module, found)
        return _of_module(node, module, sources[0], shape)
    return _of_call(node, sources, shape)


def _of_module(node: fx.Node, module: nn.Module, source: Operation, shape: tuple[int, ...]) -> Operation:
    name = str(node.target)
    made = Operation(name=node.name, kind="", inputs=(source.name,), shape=shape)
    if isinstance(module, nn.Conv2d | nn.Linear):
        return replace(made, name=name, kind="layer", layer=_layer(name, module))
    if type(module) in ACTIVATIONS:
        return replace(made, kind=ACTIVATIONS[type(module)])
    if isinstance(module, nn.MaxPool2d | nn.AvgPool2d):
        arguments = {name: getattr(module, name) for name in module.__constants__ if name != "return_indices"}
        return _pool(made, "max_pool" if isinstance(module, nn.MaxPool2d) else "avg_pool", source, arguments)
    if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) == (1, -1):
        return _flatten(made, source)
    if isinstance(module, nn.AdaptiveAvgPool2d) and module.output_size in (1, (1, 1)):
        return replace(made, kind="mean", options={"keep": True})
    raise inexpressible(name, type(module).__name__)


def _of_call(node: fx.Node, sources: list[Operation], shape: tuple[int, ...]) -> Operation:
    made = Operation(name=node.name, kind="", inputs=tuple(s.name for s in sources), shape=shape)
    target: Any = node.target
    if target in ARITHMETIC and len(sources) == 2:
        return replace(made, kind=ARITHMETIC[target])
    if target is torch.cat:
        given = _given(node, "tensors", "dim")
        if given.get("dim") == 1 and len(given["tensors"]) == len(sources):  # fewer if one is there twice
            return replace(made, kind="concat")
    if target in ACTIVATIONS:
        return replace(made, kind=ACTIVATIONS[target])
    if target in POOLS:
        kind, names = POOLS[target]
        return _pool(made, kind, sources[0], _given(node, "input", *names))
    if target is F.adaptive_avg_pool2d and _given(node, "input", "output_size")["output_size"] in (1, (1, 1)):
        return replace(made, kind="mean", options={"keep": True})
    if target == "mean":
        given = _given(node, "input", "dim", "keepdim")
        dims = given.get("dim")
        if isinstance(dims, list | tuple) and tuple(dims) in ((2, 3), (-2, -1)):
            return replace(made, kind="mean", options={"keep": bool(given.get("keepdim"))})
    if target == "permute" and node.args[1:] == (0, 2, 3, 1):
        return replace(made, kind="permute")
    if target in ("flatten", torch.flatten):
        given = _given(node, "input", "start_dim", "end_dim")
        if given.get("start_dim") == 1 and given.get("end_dim", -1) == -1:
            return _flatten(made, sources[0])
    raise inexpressible(node.name, getattr(target, "__name__", str(target)))


def _flatten(made: Operation, source: Operation) -> Operation:
    last = source.kind == "permute"
    inputs = source.inputs if last else made.inputs
    return replace(made, kind="flatten", inputs=inputs, options={"channels_last": last})


def _given(node: fx.Node, *names: str) -> dict[str, Any]:
    """The arguments of a call by name, those that were left out excepted."""
    return dict(zip(names, node.args, strict=False)) | dict(node.kwargs)


def _pool(made: Operation, kind: str, source: Operation, given: Mapping[str, Any]) -> Operation:
    """A pool with the padding that gives its output, which `ceil_mode` makes larger behind than in front."""
    dilated = _pair(given.get("dilation", 1)) != (1, 1)
    if dilated or given.get("divisor_override") or (kind == "avg_pool" and given.get("ceil_mode")):
        raise inexpressible(made.name, f"{kind} with dilation, divisor_override, or a mean with ceil_mode")
    kernel = _pair(given["kernel_size"])
    stride, padding = _pair(given.get("stride") or kernel), _pair(given.get("padding", 0))
    behind = (
        max(padding[axis], (made.shape[1 + axis] - 1) * stride[axis] + kernel[axis] - size - padding[axis])
        for axis, size in enumerate(source.shape[1:])
    )
    options = {"kernel": kernel, "stride": stride, "pads": (*padding, *behind)}
    if kind == "avg_pool":
        options["counts_padding"] = given.get("count_include_pad", True)
    return replace(made, kind=kind, options=options)


@torch.no_grad()
def _layer(name: str, module: nn.Conv2d | nn.Linear) -> Layer:
    if isinstance(module, nn.Conv2d) and type(module).forward is not nn.Conv2d.forward:
        raise inexpressible(name, f"{type(module).__name__} with a forward of its own")
    bias = None if module.bias is None else _array(module.bias)
    made = Layer(
        name=name, codes=codes_of(module), weight=_array(module.weight), bias=bias, grid=grid_of(module)
    )
    if isinstance(module, nn.Linear):
        return made
    return replace(
        made, stride=_pair(module.stride), padding=_padding(name, module), dilation=_pair(module.dilation),
        groups=module.groups,
    )  # fmt: skip


def _padding(name: str, module: nn.Conv2d) -> tuple[int, int]:
    """The rows and columns of zeros on each side of the map."""
    padding: Any = module.padding
    if padding == "same":
        padding = [d * (k - 1) / 2 for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    elif padding == "valid":
        padding = 0
    if module.padding_mode != "zeros" or any(one % 1 for one in np.atleast_1d(padding)):
        raise inexpressible(name, f"padding {module.padding!r}, {module.padding_mode}")
    return _pair(padding)


@torch.no_grad()
def _normed(node: fx.Node, source: Operation, norm: Norm, found: dict[fx.Node, Operation]) -> Operation:
    """The layer before with the norm in it, or a `norm` behind anything else."""
    layer, folded_already = source.layer, isinstance(norm, FoldedNorm)
    scale, shift = _scale_and_shift(str(node.target), norm)
    alone = len(node.all_input_nodes[0].users) == 1
    if layer is None or not alone or (layer.codes and not folded_already):
        options = {"scale": scale, "shift": shift}
        return Operation(
            name=node.name, kind="norm", inputs=(source.name,), shape=source.shape, options=options
        )
    bias = np.zeros(len(layer.weight), np.float32) if layer.bias is None else layer.bias
    rows = scale.reshape((-1,) + (1,) * (layer.weight.ndim - 1))
    folded = replace(layer, weight=layer.weight * rows, bias=bias * scale + shift)
    merged = replace(source, layer=folded)
    for earlier, step in found.items():
        if step is source:
            found[earlier] = merged
    return merged


def _scale_and_shift(name: str, norm: Norm) -> tuple[np.ndarray, np.ndarray]:
    """What a norm multiplies each channel with, and what it adds; the scale of a folded one is in the weight."""
    if isinstance(norm, FoldedNorm):
        shift = _array(norm.shift)
        return np.ones_like(shift), shift
    if norm.running_var is None or norm.running_mean is None:
        raise inexpressible(name, "BatchNorm without running statistics")
    scale = _array((norm.running_var + norm.eps).rsqrt())
    scale = scale if norm.weight is None else scale * _array(norm.weight)
    minus = scale * _array(norm.running_mean)
    return scale, -minus if norm.bias is None else _array(norm.bias) - minus


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().float().contiguous().numpy()


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
