"""Descriptions of checkpoints whose digest is valid and whose content is odd: each is refused by name."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from study_common import layout
from study_common.errors import UserError
from trainables.training import checkpoint
from trainables.training.description import check_finished, check_resumable
from trainables.training.network import load_checkpoint
from trainables.training.outside_set import outside_metrics
from trainables.training.prediction import Predictor

NAN = float("nan")
ODD: dict[str, tuple[dict[str, Any], str]] = {
    "two numbers": ({"signature": [1, 2]}, "signature is not the channels"),
    "a negative size": ({"signature": [3, -16, 3]}, "signature is not the channels"),
    "a text": ({"signature": "abc"}, "signature is 'abc', and must be a list"),
    "more classes than memory": ({"signature": [3, 16, 10**9]}, "class_names are not 1000000000 different names"),
    "more pixels than memory": ({"signature": [3, 10**6, 3]}, "is of another version of this program"),
    "many channels": ({"signature": [7, 16, 3]}, "its images have 7 channels"),
    "no names": ({"class_names": 5}, "class_names is 5, and must be a list"),
    "a name too few": ({"class_names": ["a", "b"]}, "class_names are not 3 different names"),
    "one name twice": ({"class_names": ["a", "b", "b"]}, "class_names are not 3 different names"),
    "a formula": ({"class_names": ["=1+1", "a", "b"]}, "would be a formula"),
    "a control character": ({"class_names": ["\x1b[31m", "a", "b"]}, "is not printable"),
    "a mean of text": ({"mean": "x"}, "mean is 'x', and must be a list"),
    "a short mean": ({"mean": [0.1]}, "mean is not 3 numbers"),
    "a mean that is no number": ({"mean": [NAN] * 3}, "mean is not 3 numbers from 0 to 1"),
    "no deviation": ({"std": [0.0] * 3}, "std is not 3 numbers above 0"),
    "a deviation that is no number": ({"std": [NAN] * 3}, "std is not 3 numbers above 0"),
    "a negative depth": ({"depth": -3}, "depth is -3, and can be"),
    "a depth of text": ({"depth": "x"}, "depth is 'x', and must be an integer"),
    "metrics of a number": ({"metrics": 5}, "metrics is 5, and must be a table"),
    "a configuration of a number": ({"config": 5}, "config is 5, and must be a table"),
    **{f"no {name}": ({name: ...}, f"must be a table with {name}")
       for name in ("config", "metrics", "fingerprint", "class_names", "mean", "std")},
}  # fmt: skip


@pytest.fixture(scope="module")
def read(striped: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    return checkpoint.read(striped / layout.CHECKPOINT_FILE)


@pytest.mark.parametrize("name", ODD)
def test_an_odd_description_is_refused_by_name(read: Any, stripes: Path, tmp_path: Path, name: str) -> None:
    tensors, about = read[0], copy.deepcopy(read[1])
    changes, says = ODD[name]
    about = {key: value for key, value in (about | changes).items() if value is not ...}
    checkpoint.write(path := tmp_path / "x.safetensors", tensors, about)
    with pytest.raises(UserError) as caught:
        load_checkpoint(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    if "version" not in says:
        with pytest.raises(UserError):
            outside_metrics(path, str(stripes), "")


def test_weights_that_are_not_finite_are_refused(read: Any, tmp_path: Path) -> None:
    tensors = {name: tensor.clone() for name, tensor in read[0].items()}
    tensors["fc2.bias"][0] = NAN
    checkpoint.write(path := tmp_path / "x.safetensors", tensors, read[1])
    with pytest.raises(UserError, match=r"fc2\.bias has a value that is not finite; train it again"):
        load_checkpoint(path)


def test_weights_that_overflow_give_no_probabilities(read: Any, stripes: Path, tmp_path: Path) -> None:
    step = "fc2.parametrizations.weight.0.log_step"
    tensors = read[0] | {step: torch.full_like(read[0][step], 200.0)}
    checkpoint.write(path := tmp_path / "x.safetensors", tensors, read[1])
    with pytest.raises(UserError, match="gives values that are not finite; train it again"):
        list(Predictor(path).predict([stripes / "plain" / "0.png"]))


def test_what_training_wrote_is_whole(read: Any) -> None:
    check_finished(Path("x"), read[1])


@pytest.mark.parametrize("curve", [5, [], [{"loss": 0.5}], [{"epoch": 1.5}], [{"epoch": "one"}], [[1]]])
def test_a_file_to_resume_from_has_epochs(read: Any, curve: Any) -> None:
    check_resumable(Path("x"), read[1] | {"curve": [{"epoch": 1.0, "loss": 0.5}]})
    with pytest.raises(UserError, match="x cannot be used: "):
        check_resumable(Path("x"), read[1] | {"curve": curve})
