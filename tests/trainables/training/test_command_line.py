"""Settings and folders as typed, and how a command ends."""

import argparse
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import NonFiniteError
from trainables.choices import CHOICES
from trainables.training.command_line import folder, run, setting, settings_help
from trainables.training.config import Config


def test_help_lists_what_may_be_chosen(capsys: pytest.CaptureFixture[str]) -> None:
    from trainables.train import main

    with pytest.raises(SystemExit):
        main(["--help"])
    said = capsys.readouterr().out
    for name in ("resnet18", "kvasir", "grad_cam", "paper_mnist", "weight_quantiser=lsq"):
        assert name in said


@given(st.text("abc._", min_size=1), st.text(min_size=1))
def test_a_setting_is_split_at_its_first_equals_sign(key: str, value: str) -> None:
    assert setting(f"{key}={value}") == (key, value)


@pytest.mark.parametrize("typed", ["", "lambda1", "lambda1=", "=1", "="])
def test_what_is_no_setting_is_rejected(typed: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not key=value"):
        setting(typed)


def test_a_folder_need_not_exist_but_no_part_of_its_path_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in (tmp_path, tmp_path / "new", tmp_path / "new" / "deeper"):
        assert folder(str(path)) == path
        assert path == tmp_path or not path.exists()
    for path in (tmp_path / "file", tmp_path / "file" / "deeper"):
        with pytest.raises(argparse.ArgumentTypeError, match=f"{tmp_path}/file is a file; name a folder"):
            folder(str(path))


def test_the_help_has_every_setting_with_its_choices() -> None:
    said = settings_help()
    for name in Config.names():
        assert f"  {name}=" in said
    words = said.replace(",", " ").split()
    for choices in CHOICES.values():
        assert set(choices) <= {word.partition("=")[2] or word for word in words}


def test_metrics_are_the_last_line_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    def command(arguments: argparse.Namespace) -> dict[str, float]:
        print("epoch 1")
        return {"accuracy": 0.5}

    assert run(command, argparse.ArgumentParser(), []) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {"accuracy": 0.5}


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (NonFiniteError("the loss is not finite"), "error: the loss is not finite\n"),
        (
            OSError(28, "No space left on device", "/x/y"),
            "error: cannot use /x/y: No space left on device; free some space, or choose another path\n",
        ),
        (OSError("torn"), "error: cannot use the disk: torn; choose another path\n"),
    ],
)
def test_what_a_user_can_put_right_is_one_line(
    error: Exception, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(arguments: argparse.Namespace) -> dict[str, float]:
        raise error

    assert run(command, argparse.ArgumentParser(), []) == 2
    assert capsys.readouterr() == ("", says)


def test_a_fault_of_the_program_keeps_its_traceback() -> None:
    def command(arguments: argparse.Namespace) -> dict[str, float]:
        return {}["accuracy"]

    with pytest.raises(KeyError):
        run(command, argparse.ArgumentParser(), [])
