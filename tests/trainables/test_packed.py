"""The packed file: as small as its cost says, and the same weights back, bit for bit."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import UserError
from trainables import Config
from trainables.deployment import packed
from trainables.export import main
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint
from trainables.training.run import epochs

READER = Path(__file__).parents[2] / "examples" / "read_packed.py"


@given(st.sampled_from([2, 3, 4, 6, 8]), st.data())
def test_pack_and_unpack_are_inverse(bits: int, data: st.DataObject) -> None:
    codes = data.draw(st.lists(st.integers(0, 2**bits - 1), min_size=1, max_size=40))
    blob = packed.pack(torch.tensor(codes), bits)
    assert len(blob) == -(-len(codes) * bits // 8)
    assert packed.unpack(blob, [len(codes)], bits).tolist() == codes
    as_integer = sum(code << (bits * place) for place, code in enumerate(codes))
    assert int.from_bytes(blob, "little") == as_integer


@pytest.mark.parametrize("weight_quantiser", ["lsq", "affine"])
@pytest.mark.parametrize("widths", [{"bits": 3}, {"bits": 4, "bits.fc1": 2, "w_bits.fc2": 32}, {"bits": 32}])
def test_an_exported_model_is_the_model(
    settings: dict[str, object],
    tmp_path: Path,
    weight_quantiser: str,
    widths: dict[str, int],
    capsys: pytest.CaptureFixture[str],
) -> None:
    config = Config.parse({**settings, "epochs": 1, "weight_quantiser": weight_quantiser, **widths})
    next(epochs(config)).save(tmp_path)
    arguments = [
        str(tmp_path / "checkpoint.safetensors"),
        "--out",
        str(tmp_path / "out"),
        "--format",
        "packed",
    ]
    assert main(arguments) == 0
    path, *_, last = capsys.readouterr().out.splitlines()
    metrics = json.loads(last)
    assert path == str(tmp_path / "out" / "model.packed")
    size = Path(path).stat().st_size
    assert size == metrics["size_bytes"] + metrics["header_bytes"]
    data, header = data_of(config), packed.read(Path(path)).header
    mean, std = (np.array(header[name])[:, None, None] for name in ("mean", "std"))
    images = data.validation.images
    expected = scale_of(data, torch.device("cpu"))(images).numpy()
    np.testing.assert_allclose((images.numpy() / 255 - mean) / std, expected, rtol=1e-4, atol=1e-5)
    assert header["class_names"] == ["across", "down", "plain"]
    reader = runpy.run_path(str(READER))
    logits = [reader["paper_cnn"](image, *reader["read"](path)) for image in images[:3].numpy()]
    model, _, _ = load_checkpoint(tmp_path / "checkpoint.safetensors")
    with torch.no_grad():
        wanted = model(scale_of(data, torch.device("cpu"))(images[:3])).numpy()
    np.testing.assert_allclose(logits, wanted, atol=1e-3)
    assert main(arguments) == 2
    assert "holds other files" in capsys.readouterr().err


def test_a_file_cut_short_is_refused(settings: dict[str, object], tmp_path: Path) -> None:
    path = tmp_path / "model.packed"
    path.write_bytes(b'{"tensors": [{"name": "a", "shape": [9], "bits": 2, "zero": 2}]}\n\x00')
    with pytest.raises(UserError, match="cut short"):
        packed.read(path)
    path.write_bytes(b"something else")
    with pytest.raises(UserError, match="no packed model"):
        packed.read(path)


def test_any_damage_is_one_line(settings: dict[str, object], tmp_path: Path) -> None:
    config = Config.parse({**settings, "epochs": 1})
    next(epochs(config)).save(tmp_path)
    out = tmp_path / "out"
    assert main([str(tmp_path / "checkpoint.safetensors"), "--out", str(out), "--format", "packed"]) == 0
    path = out / "model.packed"
    whole = path.read_bytes()
    for place in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(UserError, match="no packed model of ours"):
            packed.read(path)
    for content in (whole + bytes(9), whole[:-1], b"[" * 10**5, b""):
        path.write_bytes(content)
        with pytest.raises(UserError, match="no packed model of ours"):
            packed.read(path)
    path.unlink()
    for target in ("/dev/zero", "/nowhere", str(tmp_path)):
        path.symlink_to(target)
        with pytest.raises(UserError, match="it is not a file"):
            packed.read(path)
        path.unlink()
