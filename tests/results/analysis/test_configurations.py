"""What a trial was trained with, and the command that exports it."""

import shlex
import shutil
from dataclasses import replace

import pandas as pd

import results
from results.analysis import configurations
from tests.results import sample


def test_widths_from_the_record_and_rather_from_the_config(study, study_path, tmp_path):
    row = study.trials.iloc[0]
    bits = row["params.bits.conv1"]
    assert configurations.layer_widths(study, row)["conv1"] == {"weights": bits, "activations": bits}
    copy = shutil.copytree(study_path, tmp_path / "copy")
    folder = copy / "trials" / "0"
    folder.mkdir(parents=True, exist_ok=True)
    sample.write(
        folder / "config.toml",
        f'lambda1 = {float(row["params.lambda1"])!r}\n"w_bits.conv1" = 4\n"a_bits.conv1" = 32\n"a_bits.fc1" = 3\n',
    )
    found = configurations.layer_widths(results.load(copy), row)
    assert found == {"conv1": {"weights": 4, "activations": 32}, "fc1": {"activations": 3}}
    sample.write(folder / "config.toml", "bits = 4\n")
    assert configurations.layer_widths(results.load(copy), row) == {
        "all layers": {"weights": 4, "activations": 4}
    }
    sample.write(folder / "config.toml", "bits = 4\nlambda1 = 77.0\n")  # of another trial
    assert configurations.layer_widths(results.load(copy), row) == configurations.layer_widths(study, row)
    (folder / "config.toml").write_text("lambda1 = ")
    assert configurations.layer_widths(results.load(copy), row) == configurations.layer_widths(study, row)


def test_the_export_command_survives_a_shell(study, study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "a name; with 'quotes'")
    words = shlex.split(configurations.export_command(results.load(copy), study.trials.iloc[0]))
    assert words[:3] == ["python", "-m", "trainables.export"]
    assert words[3] == str(copy / "trials" / "0" / "checkpoint.safetensors")
    assert words[4:] == ["--out", str(copy / "exported" / "0")]


def test_the_export_command_is_for_the_target_of_the_launch(study):
    mine = replace(study, request=study.request | {"target": "/a place/mine.toml"})
    words = shlex.split(configurations.export_command(mine, study.trials.iloc[0]))
    assert words[-2:] == ["--target", "/a place/mine.toml"]


def test_the_widths_of_many_layers_are_one_column(study):
    many = pd.DataFrame(
        {f"params.bits.l{k}": [8 if k == 26 else 4, 2] for k in range(27)} | {"params.lr": [0.1, 0.2]}
    )
    many.loc[1, "params.bits.l3"] = float("nan")
    names = ["lambda1", *(f"bits.l{k}" for k in range(27)), "lr"]
    table, left = configurations.compact_widths(many, names)
    assert left == ["lambda1", "bits", "lr"]
    assert table["params.bits"].tolist() == ["4x26 8", "2x3 - 2x23"]
    few = list(study.distributions)
    assert configurations.compact_widths(study.trials, few)[1] == few
