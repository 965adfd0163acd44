"""Building an ONNX graph by hand: nodes and constants with readable names, each constant stored once."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from trainables.deployment.operations import Layer, Operation

IR_OF_OPSET = {13: 7, 21: 10, 25: 13}
"""The file format that came with an operator set."""


class Graph:
    """Nodes and constants of one model that is being written."""

    def __init__(self, opset: int = 21) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.opset = opset
        self._known: dict[Any, str] = {}
        self._names: set[str] = set()

    def add(self, kind: str, *inputs: str, name: str, domain: str = "", **attributes: Any) -> str:
        """Add a node; return the name of its output, which is `name` or that with a number behind."""
        name = self._unused(name)
        self.nodes.append(
            helper.make_node(kind, list(inputs), [name], name=name, domain=domain, **attributes)
        )
        return name

    def constant(self, values: Any, dtype: Any, name: str) -> str:
        """Return the name of a constant of these values, which may be an earlier one."""
        array = np.ascontiguousarray(np.asarray(values, dtype))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._known:
            self._known[key] = self._unused(name)
            self.constants[self._known[key]] = numpy_helper.from_array(array, self._known[key])
        return self._known[key]

    def packed(self, codes: np.ndarray, bits: int, name: str) -> str:
        """Return the name of a new constant UINT4 or UINT2 with codes in [0, 2^bits - 1], the first in the low bits."""
        name = self._unused(name)
        tensor = TensorProto(name=name, data_type={4: TensorProto.UINT4, 2: TensorProto.UINT2}[bits])
        tensor.dims.extend(codes.shape)
        per_byte = 8 // bits
        flat = np.zeros(-(-codes.size // per_byte) * per_byte, np.uint8)
        flat[: codes.size] = codes.ravel()
        shifted = flat.reshape(-1, per_byte) << (np.arange(per_byte, dtype=np.uint8) * bits)
        tensor.raw_data = np.bitwise_or.reduce(shifted, 1).astype(np.uint8).tobytes()
        self.constants[name] = tensor
        self.opset = max(self.opset, {4: 21, 2: 25}[bits])
        return name

    def model(self, image: onnx.ValueInfoProto, result: str, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """Return the model from `image` to `result`, float logits (n, classes)."""
        count = image.type.tensor_type.shape.dim[0]
        shape = [count.dim_param or count.dim_value, None]
        made = helper.make_tensor_value_info(result, TensorProto.FLOAT, shape)
        graph = helper.make_graph(self.nodes, "model", [image], [made], list(self.constants.values()))
        domains = {"": self.opset} | {node.domain: 1 for node in self.nodes if node.domain}
        opsets = [helper.make_opsetid(*pair) for pair in domains.items()]
        model = helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_OF_OPSET[self.opset], producer_name="sgt-pact-study"
        )
        helper.set_model_props(model, dict(metadata))
        return model

    def _unused(self, name: str) -> str:
        unique, number = name, 1
        while unique in self._names:
            number += 1
            unique = f"{name}_{number}"
        self._names.add(unique)
        return unique


def pool(step: Operation) -> dict[str, Any]:
    """Return the attributes of an ONNX pool."""
    options = step.options
    made = {"kernel_shape": options["kernel"], "strides": options["stride"], "pads": options["pads"]}
    counts = options.get("counts_padding")
    return made if counts is None else made | {"count_include_pad": int(counts)}


def geometry(layer: Layer) -> dict[str, Any]:
    """Return the attributes of an ONNX Conv."""
    return {
        "kernel_shape": list(layer.weight.shape[2:]),
        "strides": list(layer.stride),
        "pads": [*layer.padding, *layer.padding],
        "dilations": list(layer.dilation),
        "group": layer.groups,
    }
