"""A graph of integers answers as the model does, and ONNX Runtime computes it in integers."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from tests.trainables.deployment.conftest import PARTS, Example, make
from tests.trainables.models.names import IN_EVERY_FORMAT, OF_TORCHVISION
from trainables.deployment import parity, qdq, runtime
from trainables.deployment.structure import operations
from trainables.models.catalogue import quantisable
from trainables.quantisation.quantisers import calibrate, quantise


def written(example: Example, *, low_bit: bool = False) -> qdq.Written:
    return qdq.write(
        example.network, mean=example.mean, std=example.std, low_bit=low_bit, metadata={"class_names": "[]"}
    )


def answers(model: onnx.ModelProto, example: Example, *, optimised: bool) -> parity.Parity:
    session = runtime.session(model.SerializeToString(), optimised=optimised)
    return parity.compare(example.logits, runtime.logits(session, example.images))


def kinds(model: onnx.ModelProto, folder: Path) -> list[str]:
    """The operations that are left when ONNX Runtime has optimised a graph."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node]


@pytest.mark.parametrize("quantiser", ["lsq", "lsq_integer", "affine"])
@pytest.mark.parametrize(("w", "a"), [(2, 2), (3, 6), (4, 8), (6, 3), (8, 8), (8, 32), (32, 4)])
@pytest.mark.parametrize("low_bit", [False, True])
def test_the_papers_cnn_answers_the_same(w: int, a: int, quantiser: str, low_bit: bool) -> None:
    example = make("paper_cnn", 12, w, a, quantiser, grey=True)
    model = written(example, low_bit=low_bit).model
    for optimised in (False, True):
        found = answers(model, example, optimised=optimised)
        assert found.error < 0.05  # a code beside an edge; a wrong graph is at 1
        assert found.same_class == 1


@pytest.mark.parametrize("quantiser", ["lsq", "lsq_integer", "affine"])
@pytest.mark.parametrize("bits", [2, 8])
def test_a_network_with_folded_norms_answers_the_same(bits: int, quantiser: str) -> None:
    example = make("small_cnn", 16, bits, bits, quantiser)
    for optimised in (False, True):
        assert answers(written(example).model, example, optimised=optimised).error < 0.05


@pytest.mark.parametrize("bits", [4, 8, 32])
def test_pools_joined_maps_and_norms_in_no_layer_answer_the_same(bits: int) -> None:
    example = make(PARTS, 17, bits, bits)
    for optimised in (False, True):
        assert answers(written(example).model, example, optimised=optimised).error < 1e-5


class Depthwise(nn.Sequential):
    """A depthwise convolution between two quantised ones, with biases far from whole products of steps."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        super().__init__(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), depthwise, nn.ReLU(), nn.Conv2d(8, 5, 1))
        with torch.no_grad():
            depthwise.bias.uniform_(0, 0.3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return super().forward(x).mean(dim=(2, 3))


@pytest.mark.parametrize("bits", [4, 8])
def test_no_bias_of_a_depthwise_convolution_is_rounded(bits: int) -> None:
    model = Depthwise()
    names = list(quantisable(model))
    quantise(
        model, w_bits=dict.fromkeys(names, bits), a_bits=dict.fromkeys(names[1:], bits), alpha=0.3, norms={},
        weight_quantiser="lsq",
    )  # fmt: skip
    images = torch.randint(0, 256, (64, 3, 16, 16), dtype=torch.uint8)
    calibrate(model, images / 255)
    network = operations(model.eval(), (3, 16, 5))
    graph = qdq.write(network, mean=(0.0,) * 3, std=(1.0,) * 3, low_bit=False, metadata={}).model
    expected = model(images / 255).detach().numpy()
    for optimised in (False, True):
        session = runtime.session(graph.SerializeToString(), optimised=optimised)
        np.testing.assert_allclose(runtime.logits(session, images.numpy()), expected, rtol=1e-5, atol=1e-6)


GRAPHS = [
    *OF_TORCHVISION,
    *(pytest.param(name, marks=pytest.mark.slow) for name in IN_EVERY_FORMAT if name not in OF_TORCHVISION),
]


@pytest.mark.parametrize("name", GRAPHS)
def test_networks_of_torchvision_answer_the_same_at_8_bit_weights(name: str) -> None:
    example = make(name, 64, 8, 32, count=2)
    assert answers(written(example).model, example, optimised=True).largest < 1e-3 * example.logits.std()


def test_the_papers_cnn_is_computed_in_integers(tmp_path: Path) -> None:
    made = written(make("paper_cnn", 28, 2, 2, grey=True), low_bit=True)
    left = kinds(made.model, tmp_path)
    assert left.count("QLinearConv") == 2
    assert left.count("QGemm") == 2
    assert not {"Conv", "FusedConv", "Gemm", "MatMul", "Cast"} & set(left)
    assert made.float_layers == {}


def test_every_layer_of_resnet18_but_the_first_is_computed_in_integers(tmp_path: Path) -> None:
    made = written(make("resnet18", 64, 4, 4, count=1))
    left = kinds(made.model, tmp_path)
    assert left.count("MatMulIntegerToFloat") == 19
    assert left.count("QGemm") == 1
    assert not {"FusedConv", "Gemm", "MatMul"} & set(left)
    assert left.count("Conv") == 1
    assert list(made.float_layers) == ["conv1"]


@pytest.mark.parametrize(("bits", "part"), [(2, 4), (4, 2), (6, 4 / 3)])
def test_a_low_bit_file_is_as_small_as_its_widths(bits: int, part: float) -> None:
    example = make("paper_cnn", 28, bits, 8, grey=True)
    weights = 1_198_000
    size = written(example, low_bit=True).model.ByteSize()
    assert size < 1.05 * weights / part
    assert written(example).model.ByteSize() > 0.95 * weights


def test_the_batch_is_free_and_the_metadata_is_kept() -> None:
    example = make("paper_cnn", 12, 4, 4, grey=True)
    session = runtime.session(written(example).model.SerializeToString())
    assert runtime.logits(session, example.images[:3]).shape == (3, 5)
    assert session.get_inputs()[0].type == "tensor(uint8)"
    assert session.get_modelmeta().custom_metadata_map["class_names"] == "[]"
    one = np.concatenate([runtime.logits(session, example.images[i : i + 1]) for i in range(3)])
    np.testing.assert_array_equal(one, runtime.logits(session, example.images[:3]))
