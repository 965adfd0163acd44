"""A model and its quantisers from a float checkpoint, and what is refused as one."""

from pathlib import Path

import pytest

from study_common.errors import UserError
from trainables import Config
from trainables.training import checkpoint
from trainables.training.run import Run, epochs

Settings = dict[str, object]


def test_a_quantised_run_starts_from_the_float_weights(settings: Settings, tmp_path: Path) -> None:
    floats = Config.parse(settings | {"bits": 32, "epochs": 1})
    next(epochs(floats)).save(tmp_path)
    weights, _ = checkpoint.read(tmp_path / "checkpoint.safetensors")
    model = Run(Config.parse(settings | {"init": str(tmp_path / "checkpoint.safetensors")})).model
    original = model.conv2.parametrizations.weight.original
    assert original.equal(weights["conv2.weight"])
    assert not model.conv2.weight.equal(original)
    assert model.fc1.bias.equal(weights["fc1.bias"])


def test_a_float_model_of_another_shape_is_refused(settings: Settings, tmp_path: Path) -> None:
    next(epochs(Config.parse(settings | {"bits": 32, "epochs": 1}))).save(tmp_path)
    path = tmp_path / "checkpoint.safetensors"
    with pytest.raises(UserError, match="does not fit"):
        Run(Config.parse({"init": str(path), "bits": 4}))


def test_a_quantised_model_is_no_start_for_another(settings: Settings, tmp_path: Path) -> None:
    next(epochs(Config.parse(settings | {"bits": 2, "epochs": 1}))).save(tmp_path)
    with pytest.raises(UserError, match="is quantised; give a float model"):
        Run(Config.parse(settings | {"init": str(tmp_path / "checkpoint.safetensors"), "bits": 4}))
