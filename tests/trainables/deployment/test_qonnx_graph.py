"""A QONNX graph answers as the model does, in the executor of the qonnx package."""

import warnings

import numpy as np
import pytest

from tests.trainables.deployment.conftest import Example, make
from trainables.deployment import qonnx_graph, runtime

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
        ("small_cnn", 2, "lsq_integer"),
    ],
)  # fmt: skip
def test_the_executor_of_qonnx_gives_the_models_logits(name: str, bits: int, quantiser: str) -> None:
    example = make(name, 16, bits, bits, quantiser, grey=name == "paper_cnn", count=4)
    model = graph_of(example)
    for image, expected in zip(example.images, example.logits, strict=True):
        found = execute_onnx(model, {"image": image[None].astype(np.float32)})[model.graph.output[0].name]
        np.testing.assert_allclose(found[0], expected, atol=1e-4)


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
