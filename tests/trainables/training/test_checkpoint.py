"""Files of tensors: what was written comes back, and what is not whole is rejected."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import UserError
from trainables.training.checkpoint import read, write

TENSORS = {"b": torch.arange(6, dtype=torch.float32).view(2, 3), "a": torch.tensor([1, 2], dtype=torch.uint8)}
ABOUT = {"config": {"bits": 4}, "metrics": {"accuracy": 0.5}}
JSON = st.dictionaries(
    st.text(max_size=5).filter(lambda name: name != "digest"),
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.floats(-1, 1)
    | st.text(max_size=5)
    | st.lists(st.integers()),
    max_size=4,
)
DTYPES = (torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8, torch.bool)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoint") / "x.safetensors"


@given(
    st.dictionaries(
        st.text("abc.", min_size=1),
        st.tuples(st.lists(st.integers(0, 3), max_size=3), st.sampled_from(DTYPES)),
        max_size=4,
    ),
    JSON,
)
def test_tensors_and_the_description_come_back(
    path: Path, shapes: dict[str, tuple[list[int], torch.dtype]], about: dict[str, Any]
) -> None:
    tensors = {name: (torch.rand(shape) * 9).to(dtype) for name, (shape, dtype) in shapes.items()}
    write(path, tensors, about)
    found, described = read(path)
    assert described == about
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].equal(tensor)


def test_a_tensor_that_needs_a_gradient_or_is_transposed_comes_back_as_plain_values(path: Path) -> None:
    weight = torch.rand(3, 2, requires_grad=True).T
    write(path, {"weight": weight}, {})
    assert read(path)[0]["weight"].equal(weight.detach())


@given(st.data())
def test_a_flipped_bit_anywhere_in_the_tensors_is_found(path: Path, data: st.DataObject) -> None:
    write(path, TENSORS, ABOUT)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(1, sum(t.nbytes for t in TENSORS.values())))
    content[-place] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    with pytest.raises(UserError, match="was altered since it was written; copy or train it again"):
        read(path)


@given(st.integers(0, 400))
def test_a_file_cut_short_is_rejected(path: Path, kept: int) -> None:
    write(path, TENSORS, ABOUT)
    content = path.read_bytes()
    path.write_bytes(content[: min(kept, len(content) - 1)])
    with pytest.raises(UserError, match="is not a complete checkpoint") as error:
        read(path)
    assert "\n" not in str(error.value)


def test_a_renamed_tensor_is_found(path: Path) -> None:
    write(path, TENSORS, ABOUT)
    content = path.read_bytes()
    assert content.count(b'"a":{') == 1
    path.write_bytes(content.replace(b'"a":{', b'"A":{'))  # in the same place of the order
    with pytest.raises(UserError, match="was altered"):
        read(path)


def test_a_file_of_others_and_a_missing_one_are_rejected(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(TENSORS, tmp_path / "theirs")
    with pytest.raises(UserError, match="is not a complete checkpoint"):
        read(tmp_path / "theirs")
    with pytest.raises(UserError, match=r"no checkpoint at .*gone; a trial's is trials/<number>/checkpoint"):
        read(tmp_path / "gone")


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "x", TENSORS, ABOUT)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            write(tmp_path / "x", {"other": torch.zeros(1)}, {})
    assert read(tmp_path / "x")[0].keys() == TENSORS.keys()


def test_a_description_that_was_edited_is_found(path: Path) -> None:
    """Otherwise an accuracy of 0.999 could be typed into a checkpoint and would be exported with it."""
    write(path, TENSORS, {"metrics": {"accuracy": 0.811}})
    content = path.read_bytes()
    assert content.count(b"0.811") == 1
    path.write_bytes(content.replace(b"0.811", b"0.999"))
    with pytest.raises(UserError, match="was altered"):
        read(path)


def test_a_description_nested_too_deeply_is_rejected(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file(TENSORS, tmp_path / "deep", {"about": '{"a":' + "[" * 100_000})
    with pytest.raises(UserError, match=r"is not a complete checkpoint .*nested more than"):
        read(tmp_path / "deep")
