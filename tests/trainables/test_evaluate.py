"""`python -m trainables.evaluate`: a checkpoint gives its metrics again, or says in one line why not."""

import json
import shutil

import pytest
import torch

from study_common import layout
from trainables.evaluate import main as evaluate_main
from trainables.training import checkpoint


def evaluated(path, capsys):
    code = evaluate_main([str(path)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_checkpoint_copied_alone_gives_the_recorded_metrics_to_the_bit(trained, tmp_path, capsys):
    directory, recorded = trained
    copy = shutil.copy(directory / layout.CHECKPOINT_FILE, tmp_path / "elsewhere.safetensors")
    code, out, err = evaluated(copy, capsys)
    assert (code, err) == (0, "")
    assert json.loads(out.splitlines()[-1]) == recorded


def test_altered_weights_give_other_metrics(trained, tmp_path, capsys):
    directory, recorded = trained
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    altered = {
        name: -t if name.endswith("fc2.parametrizations.weight.original") else t
        for name, t in tensors.items()
    }
    checkpoint.write(tmp_path / "altered.safetensors", altered, about)
    measured = json.loads(evaluated(tmp_path / "altered.safetensors", capsys)[1])
    assert measured["accuracy"] != recorded["accuracy"]
    assert measured["loss"] != recorded["loss"]
    assert measured["bops"] == recorded["bops"]


def missing(directory, path):
    return "no checkpoint"


def truncated(directory, path):
    path.write_bytes((directory / layout.CHECKPOINT_FILE).read_bytes()[:-1000])
    return "not a complete checkpoint"


def text(directory, path):
    path.write_text("lambda1 = 1.0\n")
    return "not a complete checkpoint"


def flipped(directory, path):
    content = bytearray((directory / layout.CHECKPOINT_FILE).read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return "altered"


def a_resume_file(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    checkpoint.write(path, {f"model.{name}": t for name, t in tensors.items()}, about)
    return "no finished model"


def of_nothing(directory, path):
    checkpoint.write(path, {"weight": torch.zeros(1)}, {})
    return "no finished model"


def of_not_a_number(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    weight = "fc2.parametrizations.weight.original"
    checkpoint.write(path, tensors | {weight: tensors[weight] * torch.nan}, about)
    return "not finite"


def data_gone(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    about["config"] |= {"dataset": "fashion_mnist", "data_dir": str(path.parent / "gone")}
    checkpoint.write(path, tensors, about)
    return "no such folder"


def of_another_version(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    about["config"] |= {"lambda9": 1.0}
    checkpoint.write(path, tensors, about)
    return "lambda9"


@pytest.mark.parametrize(
    "damage",
    [
        missing,
        truncated,
        text,
        flipped,
        a_resume_file,
        of_nothing,
        of_not_a_number,
        data_gone,
        of_another_version,
    ],
)
def test_what_cannot_be_evaluated_ends_with_one_line(damage, trained, tmp_path, capsys):
    reason = damage(trained[0], tmp_path / "x.safetensors")
    code, out, err = evaluated(tmp_path / "x.safetensors", capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err
