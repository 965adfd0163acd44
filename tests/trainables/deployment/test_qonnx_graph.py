"""A QONNX graph answers as the model does, in the executor of the qonnx package."""

import warnings

import numpy as np
import pytest
import torch
from onnx import TensorProto
from onnx.helper import make_tensor_value_info
from torch import nn

from tests.trainables.deployment.conftest import PARTS, Example, make, normalised
from trainables.deployment import qonnx_graph, runtime
from trainables.deployment.operations import layers
from trainables.quantisation.quantisers import Pact

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx
    from qonnx.transformation.infer_shapes import InferShapes


def graph_of(example: Example) -> ModelWrapper:
    model = qonnx_graph.write(example.network, mean=example.mean, std=example.std, metadata={})
    return ModelWrapper(model).transform(InferShapes())


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "bits", "quantiser"),
    [
        ("paper_cnn", 2, "lsq"), ("paper_cnn", 8, "lsq"), ("paper_cnn", 3, "affine"), ("small_cnn", 4, "lsq"),
        ("small_cnn", 2, "lsq_integer"), (PARTS, 4, "lsq"),
    ],
)  # fmt: skip
def test_the_executor_of_qonnx_gives_the_models_logits(name: str, bits: int, quantiser: str) -> None:
    example = make(name, 16, bits, bits, quantiser, grey=name == "paper_cnn", count=4)
    model = graph_of(example)
    for image, expected in zip(example.images, example.logits, strict=True):
        found = execute_onnx(model, {"image": image[None].astype(np.float32)})[model.graph.output[0].name]
        np.testing.assert_allclose(found[0], expected, atol=1e-4)


WIDTHS = {"all-2": (2, 2), "(4,2)": ((4, 2, 32, 32), (4, 2, 32)), "all-8": (8, 8)}


@pytest.mark.parametrize("widths", WIDTHS)
def test_logits_are_the_models_but_where_a_value_lies_on_an_edge_between_two_levels(widths: str) -> None:
    """Sums are added in another order, so a value within rounding of an edge may fall to the other side."""
    example = make("paper_cnn", 28, *WIDTHS[widths], grey=True, count=64)
    read = inputs_of(example.model, example)
    model = qonnx_graph.write(example.network, mean=example.mean, std=example.std, metadata={})
    plain = qonnx_graph.plain(model)
    names = [layer.name for layer in layers(example.network) if layer.grid]
    plain.graph.output.extend(
        make_tensor_value_info(f"{name}.input", TensorProto.FLOAT, None) for name in names
    )
    session = runtime.session(plain.SerializeToString())
    each = [session.run(None, {"image": image[None].astype(np.float32)}) for image in example.images]
    logits, *levels = (np.concatenate(found) for found in zip(*each, strict=True))
    same = np.ones(len(logits), bool)
    for name, found in zip(names, levels, strict=True):
        before, expected, step = read[name]
        apart = np.abs(found - expected) > step / 2
        from_edge = np.abs((before / step) % 1 - 0.5)
        assert (from_edge[same][apart[same]] < 1e-4).all()
        same &= ~apart.reshape(len(apart), -1).any(1)
    assert same.mean() > 0.8
    np.testing.assert_allclose(logits[same], example.logits[same], atol=1e-5)


def inputs_of(model: nn.Module, example: Example) -> dict[str, tuple[np.ndarray, np.ndarray, float]]:
    """What each quantised input is before and after its quantiser, and the step."""
    read = {}

    def look(name: str, pact: Pact, x: torch.Tensor, y: torch.Tensor) -> None:
        read[name] = x.numpy(), y.numpy(), pact.alpha.item() / pact.top

    hooks = [
        module.register_forward_hook(lambda pact, args, y, name=name: look(name.rpartition(".")[0], pact, args[0], y))
        for name, module in model.named_modules() if isinstance(module, Pact)
    ]  # fmt: skip
    with torch.no_grad():
        np.testing.assert_array_equal(
            model(normalised(torch.from_numpy(example.images), example.mean, example.std)), example.logits
        )
    for hook in hooks:
        hook.remove()
    return read


def test_weights_have_their_true_widths() -> None:
    model = graph_of(make("paper_cnn", 16, 2, 4, grey=True, count=1))
    quants = [node for node in model.graph.node if node.op_type == "Quant"]
    widths = {node.name: model.get_initializer(node.input[3]).item() for node in quants}
    assert widths["conv2.weight.levels"] == 2
    assert widths["conv2.input"] == 4
    assert str(model.get_tensor_datatype("image").name) == "UINT8"


def test_integer_levels_need_nothing_beside_quant() -> None:
    model = graph_of(make("small_cnn", 16, 2, 4, "lsq_integer", count=1))
    for node in model.graph.node:
        assert "half" not in node.name
        if node.op_type == "Quant" and "weight" in node.name:
            assert model.get_initializer(node.input[2]).item() == 0
            assert {"signed": 1, "narrow": 1}.items() <= {a.name: a.i for a in node.attribute}.items()


def test_the_same_in_standard_operations_gives_the_models_logits() -> None:
    example = make("small_cnn", 16, 4, 8, count=4)
    model = qonnx_graph.write(example.network, mean=example.mean, std=example.std, metadata={})
    session = runtime.session(qonnx_graph.plain(model).SerializeToString())
    found = runtime.logits(session, example.images.astype(np.float32))
    np.testing.assert_allclose(found, example.logits, atol=1e-4)
