"""`model.qonnx.onnx`: the network with QONNX `Quant` nodes at the true widths, for FINN and hls4ml.

Levels that are halves have no QONNX form, because FINN takes whole levels only. Such a weight, (code + 1/2) * step, is
written as its whole codes, and half a step times the sum of the input is added for each output channel.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trainables.deployment.graph import Graph, geometry, pool
from trainables.deployment.integers import Grid
from trainables.deployment.operations import Layer, Operation

DOMAIN = "qonnx.custom_op.general"
OPSET = 13
POOLS = {"max_pool": "MaxPool", "avg_pool": "AveragePool"}


def write(
    network: list[Operation], *, mean: tuple[float, ...], std: tuple[float, ...], metadata: Mapping[str, str]
) -> onnx.ModelProto:
    """Write a network of `structure.operations` for one image, float pixels from 0 to 255 (1, C, H, W)."""
    writer = _Writer(np.array(mean), np.array(std))
    for step in network:
        writer.names[step.name] = writer.write(step)
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, *network[0].shape])
    model = writer.graph.model(image, writer.names[network[-1].name], metadata)
    note = onnx.TensorAnnotation(tensor_name="image")
    note.quant_parameter_tensor_names.add(key="finn_datatype", value="UINT8")
    model.graph.quantization_annotation.append(note)
    return model


class _Writer:
    """The graph so far, and the name of each operation's output."""

    def __init__(self, mean: np.ndarray, std: np.ndarray) -> None:
        self.graph = Graph(OPSET)
        self.names: dict[str, str] = {}
        self.mean, self.std = mean, std

    def write(self, step: Operation) -> str:
        """Write one operation; the name of its output."""
        names = [self.names[name] for name in step.inputs]
        simple = {"relu": "Relu", "sigmoid": "Sigmoid", "add": "Add", "mul": "Mul"}
        if step.kind in simple:
            return self.graph.add(simple[step.kind], *names, name=step.name)
        if step.kind == "relu6":
            bounds = [self.graph.constant(bound, np.float32, f"bound_{bound}") for bound in (0, 6)]
            return self.graph.add("Clip", *names, *bounds, name=step.name)
        if step.kind in ("hardswish", "silu", "hardsigmoid"):
            return self.gated(step, names[0])
        if step.kind == "image":
            return self.image()
        if step.layer:
            return self.layer(step.layer, names[0])
        if step.kind in POOLS:
            return self.graph.add(POOLS[step.kind], *names, name=step.name, **pool(step))
        if step.kind == "concat":
            return self.graph.add("Concat", *names, name=step.name, axis=1)
        if step.kind == "norm":
            return self.norm(step, names[0])
        if step.kind == "mean":
            keep = int(step.options["keep"])
            return self.graph.add("ReduceMean", *names, name=step.name, axes=[2, 3], keepdims=keep)
        assert step.kind == "flatten", step.kind
        if step.options["channels_last"]:
            names = [self.graph.add("Transpose", *names, name=f"{step.name}.turned", perm=[0, 2, 3, 1])]
        return self.graph.add("Flatten", *names, name=step.name)

    def norm(self, step: Operation, x: str) -> str:
        """A BatchNorm that is in no layer."""
        shape = (1, -1) + (1,) * (len(step.shape) - 1)
        scale, shift = (
            self.graph.constant(step.options[what].reshape(shape), np.float32, f"{step.name}.{what}")
            for what in ("scale", "shift")
        )
        scaled = self.graph.add("Mul", x, scale, name=f"{step.name}.scaled")
        return self.graph.add("Add", scaled, shift, name=step.name)

    def gated(self, step: Operation, x: str) -> str:
        """x times a gate of itself, or the gate alone."""
        if step.kind == "silu":
            gate = self.graph.add("Sigmoid", x, name=f"{step.name}.gate")
        else:
            gate = self.graph.add("HardSigmoid", x, name=f"{step.name}.gate", alpha=1 / 6, beta=0.5)
        return gate if step.kind == "hardsigmoid" else self.graph.add("Mul", x, gate, name=step.name)

    def image(self) -> str:
        shape = (1, -1, 1, 1)
        mean = self.graph.constant((255 * self.mean).reshape(shape), np.float32, "mean")
        scale = self.graph.constant((1 / (255 * self.std)).reshape(shape), np.float32, "scale")
        return self.graph.add(
            "Mul", self.graph.add("Sub", "image", mean, name="centred"), scale, name="normalised"
        )

    def layer(self, layer: Layer, x: str) -> str:
        """A layer on the levels of its input and its weight."""
        if layer.grid:
            x = self.input_levels(x, layer.grid, layer.name)
        halves = layer.codes is not None and layer.codes.factor == 2
        bias = layer.bias if layer.bias is not None else np.zeros(len(layer.weight), np.float32)
        constant = self.graph.constant(bias, np.float32, f"{layer.name}.bias")
        if not halves:
            return self.product(layer, x, self.weight(layer), constant, layer.name)
        whole = self.product(layer, x, self.weight(layer), constant, f"{layer.name}.whole")
        return self.graph.add("Add", whole, self.half_steps(layer, x), name=layer.name)

    def product(self, layer: Layer, x: str, weight: str, bias: str, name: str) -> str:
        if not layer.is_convolution:
            product = self.graph.add("MatMul", x, weight, name=f"{name}.product")
            return self.graph.add("Add", product, bias, name=name)
        return self.graph.add("Conv", x, weight, bias, name=name, **geometry(layer))

    def half_steps(self, layer: Layer, x: str) -> str:
        """Half a step of each output channel times the sum of what it sees."""
        assert layer.codes is not None
        half = layer.codes.step / 2
        if not layer.is_convolution:
            axes = self.graph.constant([1], np.int64, "axes")
            total = self.graph.add("ReduceSum", x, axes, name=f"{layer.name}.total")
            halves = self.graph.constant(half[None], np.float32, f"{layer.name}.half")
            return self.graph.add("Mul", total, halves, name=f"{layer.name}.halves")
        ones = np.ones((1 if layer.groups == 1 else len(half), *layer.weight.shape[1:]))
        kernel = self.graph.constant(ones, np.float32, f"{layer.name}.ones")
        total = self.graph.add("Conv", x, kernel, name=f"{layer.name}.total", **geometry(layer))
        halves = self.graph.constant(half.reshape(1, -1, 1, 1), np.float32, f"{layer.name}.half")
        return self.graph.add("Mul", total, halves, name=f"{layer.name}.halves")

    def weight(self, layer: Layer) -> str:
        """The weight behind a Quant node of its width; a matrix as (in, out)."""
        codes = layer.codes
        matrix = not layer.is_convolution
        if codes is None:
            return self.graph.constant(
                layer.weight.T if matrix else layer.weight, np.float32, f"{layer.name}.weight"
            )
        per_channel = (1, -1) if matrix else (-1, 1, 1, 1)
        shape = (-1,) + (1,) * (codes.codes.ndim - 1)
        middle = 2 ** (codes.bits - 1)
        halves = codes.factor == 2
        signed = halves or bool((codes.zero == middle).all())
        offset = np.full_like(codes.zero, middle) if signed else codes.zero
        values = (codes.codes - offset.reshape(shape)) * codes.step.reshape(shape)
        stored = self.graph.constant(values.T if matrix else values, np.float32, f"{layer.name}.weight")
        zero = np.zeros(1) if signed else codes.zero.reshape(per_channel)
        narrow = signed and not halves and int(codes.codes.min()) > 0
        return self.quant(
            stored, codes.step.reshape(per_channel), zero, codes.bits, signed=signed, narrow=narrow,
            name=f"{layer.name}.weight.levels",
        )  # fmt: skip

    def input_levels(self, x: str, grid: Grid, name: str) -> str:
        """The input of a layer behind a Quant node of its width."""
        step, zero = np.array(grid.step), np.array(grid.zero)
        return self.quant(x, step, zero, grid.bits, signed=False, narrow=False, name=f"{name}.input")

    def quant(
        self, x: str, step: np.ndarray, zero: np.ndarray, bits: int, *, signed: bool, narrow: bool, name: str
    ) -> str:
        constants = [
            self.graph.constant(step, np.float32, f"{name}.step"),
            self.graph.constant(zero, np.float32, f"{name}.zero"),
            self.graph.constant(bits, np.float32, f"{name}.bits"),
        ]
        return self.graph.add(
            "Quant", x, *constants, name=name, domain=DOMAIN, signed=int(signed), narrow=int(narrow),
            rounding_mode="ROUND",
        )  # fmt: skip


def plain(model: onnx.ModelProto) -> onnx.ModelProto:
    """Return the same in standard operations, for a runtime that does not know Quant."""
    graph = Graph(OPSET)
    graph.constants = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.domain != DOMAIN:
            graph.nodes.append(node)
            continue
        x, step, zero, bits = node.input
        options = {attribute.name: attribute.i for attribute in node.attribute}
        width = int(numpy_helper.to_array(graph.constants[bits]).item())
        low, high = 0, 2**width - 1
        if options["signed"]:
            low, high = options["narrow"] - 2 ** (width - 1), 2 ** (width - 1) - 1
        bounds = [graph.constant(bound, np.float32, f"bound_{bound}") for bound in (low, high)]
        code = graph.add("Div", x, step, name=f"{node.name}.steps")
        code = graph.add("Add", code, zero, name=f"{node.name}.shifted")
        code = graph.add("Clip", code, *bounds, name=f"{node.name}.clipped")
        code = graph.add("Round", code, name=f"{node.name}.code")
        level = graph.add("Sub", code, zero, name=f"{node.name}.level")
        graph.add("Mul", level, step, name=node.output[0])
    return graph.model(model.graph.input[0], model.graph.output[0].name, {})
