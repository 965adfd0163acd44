"""`model.onnx` and `model.lowbit.onnx`: integers where ONNX Runtime has integer kernels, exact to the float rounding.

In a chain of layers, one whose output goes to the levels of the next, through nothing but ReLU, max-pooling and
reshaping, is a convolution from codes to codes (`QLinearConv`). Every other output stays float, as in training: a sum
with a shortcut or a Hardswish has no levels of its own, and new ones would be new rounding. Such a layer is one matrix
product of all patches, gathered as codes, with all kernels (`MatMulIntegerToFloat`). What has neither form stays float
on the same levels; `Written.float_layers` says which and why.

A `QLinearConv` rounds its bias, which changes a few codes in 100,000. In a chain of a few layers that is nothing; over
the many layers of a network with shortcuts it would grow until classes change.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import TensorProto, helper

from trainables.deployment.graph import Graph, geometry, pool
from trainables.deployment.integers import Grid
from trainables.deployment.operations import Layer, Operation, users
from trainables.deployment.weights import by_columns, by_rows, dequantised, restored, step_of

PASSING = ("relu", "max_pool", "flatten")
"""Operations that give the same on codes as on the values that they stand for."""
ELEMENTWISE = {
    "relu": "Relu", "hardswish": "HardSwish", "sigmoid": "Sigmoid", "add": "Add", "mul": "Mul",
}  # fmt: skip
FIRST, LAST, FLAT = "channels first", "channels last", "flat"


@dataclass(frozen=True, kw_only=True)
class Value:
    """A tensor of the graph."""

    name: str
    layout: str
    grid: Grid | None = None
    """Of a tensor of codes; None if it is float."""


@dataclass(frozen=True, kw_only=True)
class Written:
    """A model as ONNX."""

    model: onnx.ModelProto
    float_layers: dict[str, str]
    """The layers that the runtime computes in float, each with the reason."""


def write(
    network: list[Operation],
    *,
    mean: tuple[float, ...],
    std: tuple[float, ...],
    low_bit: bool,
    metadata: Mapping[str, str],
) -> Written:
    """Write a network of `structure.operations`.

    Args:
        network: The operations; the first reads the image and the last makes the logits.
        mean: Of each channel, in [0, 1].
        std: Likewise, above 0.
        low_bit: Whether weights are stored at their widths, in UINT2 and UINT4, instead of INT8.
        metadata: Strings to store with the model.
    """
    writer = _Writer(network, np.array(mean), np.array(std), low_bit)
    for step in network:
        writer.values[step.name] = writer.write(step)
    image = helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", *network[0].shape])
    model = writer.graph.model(image, writer.values[network[-1].name].name, metadata)
    return Written(model=model, float_layers=writer.float_layers)


class _Writer:
    """The state of one writing: the graph so far, and where each operation's output is."""

    def __init__(self, network: list[Operation], mean: np.ndarray, std: np.ndarray, low_bit: bool) -> None:
        self.graph = Graph()
        self.values: dict[str, Value] = {}
        self.float_layers: dict[str, str] = {}
        self.steps = {step.name: step for step in network}
        self.readers = users(network)
        self.is_chain = not any(step.kind in ("add", "mul", "concat") for step in network)
        self.means, self.std, self.low_bit = mean, std, low_bit
        self.made: dict[tuple[str, str | Grid], str] = {}
        """What was derived of a tensor already, by its name and how."""

    def write(self, step: Operation) -> Value:
        """Write one operation."""
        writers: dict[str, Callable[[Operation], Value]] = {
            "image": self.image, "layer": self.layer, "norm": self.norm, "concat": self.concat, "mean": self.mean,
            "max_pool": self.max_pool, "avg_pool": self.avg_pool, "flatten": self.flatten,
        }  # fmt: skip
        return writers.get(step.kind, self.elementwise)(step)

    # What surrounds the layers.

    def image(self, step: Operation) -> Value:
        """The image as codes where the first layer can take them, else normalised."""
        first = self.readers[step.name][0].layer if len(self.readers[step.name]) == 1 else None
        integers = first is not None and first.codes and first.codes.fits_int8 and first.padding == (0, 0)
        if integers and len(self.std) == 1:
            step_size = float(np.float32(1 / (255 * self.std[0])))
            return Value(name="image", layout=FIRST, grid=Grid(step=step_size, zero=0, highest=255, bits=8))
        shape = (1, -1, 1, 1)
        pixels = self.graph.add("Cast", "image", name="pixels", to=TensorProto.FLOAT)
        mean = self.graph.constant((255 * self.means).reshape(shape), np.float32, "mean")
        scale = self.graph.constant((1 / (255 * self.std)).reshape(shape), np.float32, "scale")
        centred = self.graph.add("Sub", pixels, mean, name="centred")
        return Value(name=self.graph.add("Mul", centred, scale, name="normalised"), layout=FIRST)

    def elementwise(self, step: Operation) -> Value:
        """ReLU and what else is done number by number; on codes only ReLU is."""
        sources = [self.values[name] for name in step.inputs]
        source = sources[0]
        if source.grid:
            return self.relu_of_codes(source, step.name)
        names, layout = self.alike(sources)
        if step.kind == "relu6":
            bounds = [self.graph.constant(bound, np.float32, f"bound_{bound}") for bound in (0, 6)]
            return Value(name=self.graph.add("Clip", *names, *bounds, name=step.name), layout=layout)
        if step.kind == "silu":
            gate = self.graph.add("Sigmoid", *names, name=f"{step.name}.sigmoid")
            return Value(name=self.graph.add("Mul", *names, gate, name=step.name), layout=layout)
        if step.kind == "hardsigmoid":
            made = self.graph.add("HardSigmoid", *names, name=step.name, alpha=1 / 6, beta=0.5)
            return Value(name=made, layout=layout)
        return Value(name=self.graph.add(ELEMENTWISE[step.kind], *names, name=step.name), layout=layout)

    def alike(self, values: list[Value]) -> tuple[list[str], str]:
        """The names of values in one layout, and that layout."""
        layout = LAST if any(v.layout == LAST for v in values) else values[0].layout
        return [self.laid_out(v, layout).name for v in values], layout

    def norm(self, step: Operation) -> Value:
        """A BatchNorm that is in no layer."""
        source = self.values[step.inputs[0]]
        shape = (1, -1, 1, 1) if source.layout == FIRST else (-1,)
        name = source.name
        for kind, what in (("Mul", "scale"), ("Add", "shift")):
            constant = self.graph.constant(
                step.options[what].reshape(shape), np.float32, f"{step.name}.{what}"
            )
            name = self.graph.add(kind, name, constant, name=f"{step.name}.{what}")
        return Value(name=name, layout=source.layout)

    def concat(self, step: Operation) -> Value:
        names, layout = self.alike([self.values[name] for name in step.inputs])
        axis = 3 if layout == LAST else 1
        return Value(name=self.graph.add("Concat", *names, name=step.name, axis=axis), layout=layout)

    def relu_of_codes(self, source: Value, name: str) -> Value:
        grid = source.grid
        assert grid is not None
        if grid.zero == 0:
            return source
        return replace(source, name=self.clip(source.name, grid.zero, grid.highest, name))

    def max_pool(self, step: Operation) -> Value:
        source = self.laid_out(self.values[step.inputs[0]], FIRST)
        return replace(source, name=self.graph.add("MaxPool", source.name, name=step.name, **pool(step)))

    def avg_pool(self, step: Operation) -> Value:
        source = self.laid_out(self.values[step.inputs[0]], FIRST)
        return Value(
            name=self.graph.add("AveragePool", source.name, name=step.name, **pool(step)), layout=FIRST
        )

    def mean(self, step: Operation) -> Value:
        source = self.values[step.inputs[0]]
        places = [1, 2] if source.layout == LAST else [2, 3]
        axes = self.graph.constant(places, np.int64, "axes")
        keep = step.options["keep"]
        name = self.graph.add("ReduceMean", source.name, axes, name=step.name, keepdims=int(keep))
        return Value(name=name, layout=source.layout if keep else FLAT)

    def flatten(self, step: Operation) -> Value:
        source = self.values[step.inputs[0]]
        single = self.steps[step.inputs[0]].shape[1:] == (1, 1)
        if not single:
            source = self.laid_out(source, LAST if step.options["channels_last"] else FIRST)
        return replace(source, name=self.graph.add("Flatten", source.name, name=step.name), layout=FLAT)

    # Layers.

    def layer(self, step: Operation) -> Value:
        """A layer, in the best form that it has."""
        layer = step.layer
        assert layer is not None
        source = self.values[step.inputs[0]]
        if layer.grid:
            source = self.on_grid(source, layer.grid)
        target = self.target(step)
        if reason := self.why_float(layer, source):
            self.float_layers[layer.name] = reason
            return self.float_layer(layer, source)
        if source.name == "image":
            layer = self.with_mean(layer)
        wide = layer.weight.shape[2:] not in (
            (),
            (1, 1),
        )  # else a matrix product needs no gathering, and is more exact
        if target and wide and self.is_chain and layer.codes and layer.codes.fits_int8:
            return self.convolution_of_codes(layer, source, target)
        return self.matrix_product(step, layer, source)

    def why_float(self, layer: Layer, source: Value) -> str:
        """Why a layer cannot be computed in integers; "" if it can."""
        if layer.codes is None:
            return "its weights have 32 bits"
        if source.grid is None:
            first = self.readers["image"][0].layer
            if layer is first:
                return "it reads the normalised image: the channels have scales of their own, or the border is padded"
            return "its input has 32 bits"
        if layer.groups > 1:
            return "ONNX Runtime has no integer kernel for grouped convolutions with an exact bias"
        return ""

    def target(self, step: Operation) -> Grid | None:
        """The levels that all readers of a layer's output bring it to, if nothing but `PASSING` lies between."""
        grids = {self._grid_behind(reader) for reader in self.readers[step.name]}
        return grids.pop() if len(grids) == 1 else None

    def _grid_behind(self, step: Operation) -> Grid | None:
        if step.layer:
            return step.layer.grid
        return self.target(step) if step.kind in PASSING else None

    def with_mean(self, layer: Layer) -> Layer:
        """The first layer on pixels from which no mean is subtracted: it is in the bias."""
        bias = np.zeros(len(layer.weight)) if layer.bias is None else layer.bias
        sums = layer.weight.astype(np.float64).reshape(len(layer.weight), -1).sum(1)
        return replace(layer, bias=(bias - sums * self.means[0] / self.std[0]).astype(np.float32))

    def convolution_of_codes(self, layer: Layer, source: Value, target: Grid) -> Value:
        """DequantizeLinear, Conv, QuantizeLinear: what ONNX Runtime makes a QLinearConv of.

        Its bias is a whole number of products of the two steps. Codes of few levels are therefore multiplied up, and
        their steps divided: the same product, and a finer bias. Only where both are 8-bit does the sum of two products
        not fit 16 bits, which processors without VNNI add in.
        """
        source, grid = self.laid_out(source, FIRST), source.grid
        assert grid is not None
        assert layer.codes is not None
        shift = max(0, 7 - grid.highest.bit_length())
        if shift:
            places = self.graph.constant(shift, np.uint8, f"shift_{shift}")
            codes = self.graph.add(
                "BitShift", source.name, places, name=f"{layer.name}.shifted", direction="LEFT"
            )
            grid = replace(
                grid, step=grid.step / 2**shift, zero=grid.zero << shift, highest=grid.highest << shift
            )
            source = replace(source, name=codes, grid=grid)
        times = _times(layer, grid)
        inputs = [self.dequantised(source), self.weight(layer, times=times)]
        if layer.bias is not None:
            unit = np.float32(grid.step) * step_of(layer.codes, times)
            whole = np.round(layer.bias.astype(np.float64) / unit).clip(-(2**31) + 1, 2**31 - 1)
            codes = self.graph.constant(whole, np.int32, f"{layer.name}.bias.codes")
            units = self.graph.constant(unit, np.float32, f"{layer.name}.bias.step")
            zero = self.graph.constant(np.zeros(len(unit)), np.int32, "zeros")
            bias = self.graph.add("DequantizeLinear", codes, units, zero, name=f"{layer.name}.bias", axis=0)
            inputs.append(bias)
        out = self.graph.add("Conv", *inputs, name=layer.name, **geometry(layer))
        return self.quantised(Value(name=out, layout=FIRST), target, layer.name)

    def matrix_product(self, step: Operation, layer: Layer, source: Value) -> Value:
        """DequantizeLinear, MatMul: what ONNX Runtime makes a MatMulIntegerToFloat of; the bias is exact."""
        weight = self.weight(layer, columns=True)
        if not layer.is_convolution:
            product = self.graph.add("Gemm", self.dequantised(source), weight, name=f"{layer.name}.product")
            return Value(name=self.with_bias(product, layer, layer.bias), layout=FLAT)
        shape = self.steps[step.inputs[0]].shape
        columns = self.dequantised(self.patches(layer, self.laid_out(source, LAST), shape))
        product = self.graph.add("MatMul", columns, weight, name=f"{layer.name}.product")
        # A bias of rank 3, because ONNX Runtime fuses one of rank 1 and the product to a Gemm of floats.
        out = self.with_bias(product, layer, None if layer.bias is None else layer.bias[None, None])
        channels, height, width = step.shape
        map_shape = self.graph.constant([0, height, width, channels], np.int64, f"{layer.name}.shape")
        return Value(name=self.graph.add("Reshape", out, map_shape, name=layer.name), layout=LAST)

    def with_bias(self, product: str, layer: Layer, bias: np.ndarray | None) -> str:
        if bias is None:
            return product
        constant = self.graph.constant(bias, np.float32, f"{layer.name}.bias")
        return self.graph.add("Add", product, constant, name=f"{layer.name}.sum")

    def patches(self, layer: Layer, source: Value, shape: tuple[int, ...]) -> Value:
        """The codes that each output pixel sees as a row: (n, pixels, height * width * channels)."""
        assert source.grid is not None
        channels = shape[0]
        flat = self.graph.constant([0, -1, channels], np.int64, "pixels")
        name = self.graph.add("Reshape", source.name, flat, name=f"{layer.name}.pixels")
        kernel = layer.weight.shape[2:]
        if kernel == (1, 1) and layer.stride == (1, 1) and layer.padding == (0, 0):
            return replace(source, name=name)
        rows, outside = _rows(layer, shape[1:])
        if outside:
            pads = self.graph.constant([0, 0, 0, 0, 1, 0], np.int64, "one_pixel")
            zero = self.graph.constant(source.grid.zero, np.uint8, "zero")
            name = self.graph.add("Pad", name, pads, zero, name=f"{layer.name}.padded")
        indices = self.graph.constant(rows.ravel(), np.int32, f"{layer.name}.rows")
        name = self.graph.add("Gather", name, indices, name=f"{layer.name}.gathered", axis=1)
        wide = self.graph.constant([0, len(rows), kernel[0] * kernel[1] * channels], np.int64, "patches")
        return replace(source, name=self.graph.add("Reshape", name, wide, name=f"{layer.name}.patches"))

    def float_layer(self, layer: Layer, source: Value) -> Value:
        """The same in float: on the levels that its input and its weight have."""
        x = self.laid_out(source, FIRST if layer.is_convolution else FLAT)
        weight = (
            restored(self.graph, layer.codes, layer.name, low_bit=self.low_bit)
            if layer.codes
            else self.graph.constant(layer.weight, np.float32, f"{layer.name}.weight")
        )
        inputs = [self.restored(x) if x.grid else x.name, weight]
        if layer.bias is not None:
            inputs.append(self.graph.constant(layer.bias, np.float32, f"{layer.name}.bias"))
        if layer.is_convolution:
            name = self.graph.add("Conv", *inputs, name=layer.name, **geometry(layer))
            return Value(name=name, layout=FIRST)
        return Value(name=self.graph.add("Gemm", *inputs, name=layer.name, transB=1), layout=FLAT)

    # Between values and codes, and between layouts.

    def weight(self, layer: Layer, *, times: np.ndarray | None = None, columns: bool = False) -> str:
        """The weight of a quantised layer, dequantised; its channels in columns for a matrix product."""
        assert layer.codes is not None
        return dequantised(
            self.graph, layer.codes, layer.name, by_columns if columns else by_rows,
            times=np.ones(len(layer.weight), int) if times is None else times, low_bit=self.low_bit,
        )  # fmt: skip

    def on_grid(self, value: Value, grid: Grid) -> Value:
        """The codes of a value, made once for each grid."""
        if value.grid:
            assert value.grid == grid, "codes are made for one grid only"
            return value
        key = (value.name, grid)
        if key not in self.made:
            self.made[key] = self.quantised(value, grid, value.name).name
        return replace(value, name=self.made[key], grid=grid)

    def quantised(self, value: Value, grid: Grid, name: str) -> Value:
        """QuantizeLinear, which saturates at 0 and 255, and a clip where the grid ends before."""
        step = self.graph.constant(grid.step, np.float32, f"{name}.step")
        zero = self.graph.constant(grid.zero, np.uint8, "zero")
        codes = self.graph.add("QuantizeLinear", value.name, step, zero, name=f"{name}.codes")
        if grid.highest < 255:
            codes = self.clip(codes, 0, grid.highest, f"{name}.clipped")
        return replace(value, name=codes, grid=grid)

    def clip(self, codes: str, lowest: int, highest: int, name: str) -> str:
        bounds = [self.graph.constant(bound, np.uint8, f"code_{bound}") for bound in (lowest, highest)]
        return self.graph.add("Clip", codes, *bounds, name=name)

    def dequantised(self, value: Value) -> str:
        """The float tensor of codes."""
        assert value.grid is not None
        step = self.graph.constant(value.grid.step, np.float32, f"{value.name}.step")
        zero = self.graph.constant(value.grid.zero, np.uint8, "zero")
        return self.graph.add("DequantizeLinear", value.name, step, zero, name=f"{value.name}.values")

    def restored(self, value: Value) -> str:
        """The float tensor of codes without DequantizeLinear: behind one, ONNX Runtime rounds weights and biases."""
        assert value.grid is not None
        name = self.graph.add("Cast", value.name, name=f"{value.name}.float", to=TensorProto.FLOAT)
        if value.grid.zero:
            zero = self.graph.constant(value.grid.zero, np.float32, "zero")
            name = self.graph.add("Sub", name, zero, name=f"{value.name}.level")
        step = self.graph.constant(value.grid.step, np.float32, f"{value.name}.step")
        return self.graph.add("Mul", name, step, name=f"{value.name}.values")

    def laid_out(self, value: Value, layout: str) -> Value:
        """The same value in a layout."""
        if value.layout == layout:
            return value
        assert FLAT not in (value.layout, layout), "only a map has its channels somewhere"
        key = (value.name, layout)
        if key not in self.made:
            order = (0, 2, 3, 1) if layout == LAST else (0, 3, 1, 2)
            self.made[key] = self.graph.add("Transpose", value.name, name=f"{value.name}.turned", perm=order)
        return replace(value, name=self.made[key], layout=layout)


def _times(layer: Layer, grid: Grid) -> np.ndarray:
    """The factor of each channel's integers with which its bias is nearest to a whole number, int (out,)."""
    assert layer.codes is not None
    limit = 127 if grid.highest < 128 else 64
    largest = np.abs(layer.codes.integers()).reshape(len(layer.weight), -1).max(1)
    factors = np.arange(1, 128)[:, None]
    bias = np.zeros(len(largest)) if layer.bias is None else layer.bias.astype(np.float64)
    units = bias / (grid.step * layer.codes.step.astype(np.float64) / layer.codes.factor) * factors
    error = np.where(factors * largest <= limit, np.abs(units - np.round(units)) / factors, np.inf)
    error[0] = np.where(np.isinf(error[0]), 1.0, error[0])  # as they are, they always fit
    chosen: np.ndarray = factors[error.argmin(0), 0]
    return chosen


def _rows(layer: Layer, size: tuple[int, ...]) -> tuple[np.ndarray, bool]:
    """The pixel that each place of the kernel sees, int (output pixels, places); the one behind the last is outside.

    The second value says whether any is outside.
    """
    seen = []
    for axis in (0, 1):
        extent = (layer.weight.shape[2 + axis] - 1) * layer.dilation[axis] + 1
        count = (size[axis] + 2 * layer.padding[axis] - extent) // layer.stride[axis] + 1
        start = np.arange(count) * layer.stride[axis] - layer.padding[axis]
        seen.append(start[:, None] + np.arange(layer.weight.shape[2 + axis]) * layer.dilation[axis])
    y, x = seen[0][:, None, :, None], seen[1][None, :, None, :]
    inside = (y >= 0) & (y < size[0]) & (x >= 0) & (x < size[1])
    rows = np.where(inside, y * size[1] + x, size[0] * size[1])
    return rows.reshape(len(seen[0]) * len(seen[1]), -1), not bool(inside.all())
