"""`python -m trainables.latency`: a figure for every model, or one line that says what is wrong."""

import json
import os
from pathlib import Path

import onnx
import pytest

from tests.trainables.deployment.conftest import make
from trainables.deployment import qdq
from trainables.deployment.timing import MAX_BYTES
from trainables.latency import main


def test_models_are_timed_in_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = make("paper_cnn", 12, 4, 4, grey=True, count=1)
    for name, low_bit in (("model.onnx", False), ("model.lowbit.onnx", True)):
        written = qdq.write(example.network, mean=example.mean, std=example.std, low_bit=low_bit, metadata={})
        (tmp_path / name).write_bytes(written.model.SerializeToString())
    files = [str(tmp_path / name) for name in ("model.onnx", "model.lowbit.onnx")]
    assert main([*files, "--rounds", "20"]) == 0
    found = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert list(found) == files
    for timing in found.values():
        assert 0 < timing["fastest_ms"] <= timing["p50_ms"] <= timing["p95_ms"] <= timing["p99_ms"]
        assert 2**20 < timing["peak_memory_bytes"] < 2**28  # not that of this process, which has torch
        assert timing["images_per_s"] > 0
        assert timing["threads"] == 1
        assert timing["processor"]
    assert found[files[0]]["file_bytes"] > found[files[1]]["file_bytes"]
    kept = json.loads((tmp_path / "latency.json").read_text())
    assert kept == {Path(name).name: timing for name, timing in found.items()}


def graph(path: Path, inputs: list[tuple[str, int, list[int | str]]], nodes: list[onnx.NodeProto]) -> str:
    given = [onnx.helper.make_tensor_value_info(*one) for one in inputs]
    shape = inputs[0][2] if inputs else [1]
    out = onnx.helper.make_tensor_value_info("y", inputs[0][1] if inputs else FLOAT, shape)
    made = onnx.helper.make_graph(nodes, "g", given, [out])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(made, opset_imports=opset, ir_version=9), path)
    return str(path)


FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64
RELU = [onnx.helper.make_node("Relu", ["x"], ["y"])]
ADD = [onnx.helper.make_node("Add", ["x", "z"], ["y"])]
NEG = [onnx.helper.make_node("Neg", ["x"], ["y"])]
CONSTANT = [
    onnx.helper.make_node("Constant", [], ["y"], value=onnx.helper.make_tensor("c", FLOAT, [1], [1.0]))
]


@pytest.mark.parametrize(
    ("inputs", "nodes", "says"),
    [
        ([("x", FLOAT, ["n", 3, "h", "w"])], RELU, "takes x: float (n, 3, h, w)"),
        ([("x", FLOAT, [1, 3]), ("z", FLOAT, [1, 3])], ADD, "takes x: float (1, 3), z: float (1, 3)"),
        ([("x", INT64, [1, 3])], NEG, "takes x: int64 (1, 3)"),
        ([("x", FLOAT, [8, 3])], RELU, "takes x: float (8, 3)"),
        ([("x", FLOAT, [1, 2**20, 2**20])], RELU, "takes x: float (1, 1048576, 1048576)"),
        ([], CONSTANT, "takes nothing"),
    ],
)
def test_a_model_of_other_input_is_one_line(
    inputs: list[tuple[str, int, list[int | str]]],
    nodes: list[onnx.NodeProto],
    says: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([graph(tmp_path / "model.onnx", inputs, nodes), "--rounds", "3"]) == 2
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert f"model.onnx {says}, and not one image" in error


def test_a_model_that_cannot_run_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nodes = [
        onnx.helper.make_node("Constant", [], ["five"], value=onnx.helper.make_tensor("c", INT64, [1], [5])),
        onnx.helper.make_node("Reshape", ["x", "five"], ["y"]),
    ]
    assert main([graph(tmp_path / "model.onnx", [("x", FLOAT, ["n", 3])], nodes)]) == 2
    assert "model.onnx cannot run on one image" in capsys.readouterr().err


def test_what_is_no_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "model.onnx")]) == 2
    assert "write one with python -m trainables.export" in capsys.readouterr().err
    (tmp_path / "model.onnx").write_text("something else")
    assert main([str(tmp_path / "model.onnx")]) == 2
    assert "cannot load" in capsys.readouterr().err
    os.truncate(tmp_path / "model.onnx", MAX_BYTES + 1)  # zeros that take no room
    assert main([str(tmp_path / "model.onnx")]) == 2
    assert "larger than 2 GiB" in capsys.readouterr().err
