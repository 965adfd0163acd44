"""How a graph holds a quantised weight: INT8, or the codes at their widths and what makes INT8 of them.

ONNX has integers of 8, 4 and 2 bits. A code of 6 bits is held as one of 4 and one of 2; one of 3 bits takes 4. The
few operations from codes to INT8 are on constants: ONNX Runtime does them once, when it loads the file.
"""

from collections.abc import Callable

import numpy as np
from onnx import TensorProto

from trainables.deployment.graph import Graph
from trainables.deployment.integers import Codes

PARTS = {2: (2,), 3: (4,), 4: (4,), 6: (4, 2)}
"""The stored integers that make up a code, the low bits first."""

Arrangement = Callable[[np.ndarray], np.ndarray]
"""From a weight (out, in, ...) to the shape that an operation wants."""


def by_rows(codes: np.ndarray) -> np.ndarray:
    """Leave a weight as it is; its output channels are axis 0."""
    return codes


def by_columns(codes: np.ndarray) -> np.ndarray:
    """Make each output channel a column: (in, out), or (height * width * in, out) of a convolution; axis 1."""
    order = (1, 0) if codes.ndim == 2 else (2, 3, 1, 0)
    return codes.transpose(order).reshape(-1, len(codes))


def dequantised(
    graph: Graph, codes: Codes, name: str, arranged: Arrangement, *, times: np.ndarray, low_bit: bool
) -> str:
    """Add a weight of the layer `name` and a DequantizeLinear behind it; return the name of that output.

    Args:
        graph: The graph to add to.
        codes: The weight.
        name: Of its layer.
        arranged: The shape in which it is wanted, `by_rows` or `by_columns`.
        times: A factor for the integers of each output channel, int (out,); the step is divided by it.
        low_bit: Whether to store the codes at their width.
    """
    axis = 1 if arranged is by_columns else 0
    step = graph.constant(step_of(codes, times), np.float32, f"{name}.weight.step")
    whole, zero = _int8(graph, codes, name, arranged, times, low_bit=low_bit)
    zeros = graph.constant(zero, np.int8, f"{name}.weight.zero")
    return graph.add("DequantizeLinear", whole, step, zeros, name=f"{name}.weight", axis=axis)


def restored(graph: Graph, codes: Codes, name: str, *, low_bit: bool) -> str:
    """Add a weight of the layer `name` for a product in float, and return the name of its values.

    They are the same numbers as those of `dequantised`. Cast and Mul of constants are done when the file is loaded, and
    DequantizeLinear is not: behind it ONNX Runtime has no fast convolution in float.
    """
    times = np.ones(len(codes.step), int)
    whole, zero = _int8(graph, codes, name, by_rows, times, low_bit=low_bit)
    values = graph.add("Cast", whole, name=f"{name}.weight.float", to=TensorProto.FLOAT)
    shape = (-1,) + (1,) * (codes.codes.ndim - 1)
    if zero.any():
        zeros = graph.constant(zero.reshape(shape), np.float32, f"{name}.weight.zero")
        values = graph.add("Sub", values, zeros, name=f"{name}.weight.level")
    step = graph.constant(step_of(codes, times).reshape(shape), np.float32, f"{name}.weight.step")
    return graph.add("Mul", values, step, name=f"{name}.weight")


def _int8(
    graph: Graph, codes: Codes, name: str, arranged: Arrangement, times: np.ndarray, *, low_bit: bool
) -> tuple[str, np.ndarray]:
    """The name of the weight in INT8, and its zero-points (out,); the factors are for one that has none."""
    if not codes.fits_int8:  # ONNX Runtime multiplies INT8 faster than UINT8
        lower = arranged(codes.codes.astype(np.int16) - 128)
        return graph.constant(lower, np.int8, f"{name}.weight.codes"), codes.zero - 128
    none = np.zeros(len(codes.zero))
    if low_bit and codes.bits in PARTS:
        return _assembled(graph, codes, name, arranged, times), none
    integers = codes.integers() * _per_channel(times, codes, by_rows)
    return graph.constant(arranged(integers), np.int8, f"{name}.weight.codes"), none


def step_of(codes: Codes, times: np.ndarray) -> np.ndarray:
    """Return the step of the integers times a factor, float32 (out,)."""
    step: np.ndarray = codes.step / (codes.factor * times)
    return step.astype(np.float32)


def _assembled(graph: Graph, codes: Codes, name: str, arranged: Arrangement, times: np.ndarray) -> str:
    """INT8 from codes at their width: code * factor - zero * factor, in INT32 on the way."""
    factor = _per_channel(codes.factor * times, codes, arranged)
    offset = _per_channel(np.round(codes.zero * codes.factor * times), codes, arranged)
    rest, parts, shift = arranged(codes.codes), [], 0
    for bits in PARTS[codes.bits]:
        stored = graph.packed(rest % 2**bits, bits, f"{name}.weight.codes")
        wide = graph.add("Cast", stored, name=f"{name}.weight.wide", to=TensorProto.INT32)
        scale = graph.constant(factor * 2**shift, np.int32, f"{name}.weight.factor")
        parts.append(graph.add("Mul", wide, scale, name=f"{name}.weight.scaled"))
        rest, shift = rest >> bits, shift + bits
    total = parts[0] if len(parts) == 1 else graph.add("Add", *parts, name=f"{name}.weight.total")
    subtracted = graph.constant(offset, np.int32, f"{name}.weight.offset")
    level = graph.add("Sub", total, subtracted, name=f"{name}.weight.level")
    return graph.add("Cast", level, name=f"{name}.weight.int8", to=TensorProto.INT8)


def _per_channel(values: np.ndarray, codes: Codes, arranged: Arrangement) -> np.ndarray:
    """One number for each output channel, or for all where they are equal, in a shape that goes with the weight."""
    if (values == values[0]).all():
        return values[:1]
    return values if arranged is by_columns else values.reshape((-1,) + (1,) * (codes.codes.ndim - 1))
