"""`python -m trainables.latency`: a figure for every model, or one line that says what is wrong."""

import json
import os
from pathlib import Path

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


def test_what_is_no_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "model.onnx")]) == 2
    assert "write one with python -m trainables.export" in capsys.readouterr().err
    (tmp_path / "model.onnx").write_text("something else")
    assert main([str(tmp_path / "model.onnx")]) == 2
    assert "cannot load" in capsys.readouterr().err
    os.truncate(tmp_path / "model.onnx", MAX_BYTES + 1)  # zeros that take no room
    assert main([str(tmp_path / "model.onnx")]) == 2
    assert "larger than 2 GiB" in capsys.readouterr().err
