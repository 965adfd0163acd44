"""The console script: every command is reachable, and mistakes are one line."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from study import __main__ as console


def test_every_command_is_a_module_with_a_main():
    for name, (package, _) in console.COMMANDS.items():
        spec = find_spec(f"{package}.{name}")
        assert spec is not None, name
        assert spec.origin is not None
        assert "\ndef main(" in Path(spec.origin).read_text(encoding="utf-8"), name


def test_every_command_module_is_reachable():
    for package in ("study", "results", "trainables"):
        folder = Path(str(find_spec(package).submodule_search_locations[0]))
        commands = {file.stem for file in folder.glob("*.py") if "\ndef main(" in file.read_text("utf-8")}
        reachable = {name for name, (owner, _) in console.COMMANDS.items() if owner == package}
        assert commands - {"__main__"} == reachable


def test_a_command_gets_the_words_after_its_name(tmp_path, capsys):
    assert console.main(["front", "nothing", "--runs-dir", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("error: no study 'nothing'")


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["--version"]])
def test_help_and_version_go_to_stdout(words, capsys):
    assert console.main(words) == 0
    assert "sgt-pact" in capsys.readouterr().out


def test_no_command_prints_the_overview_and_is_bad_input(capsys):
    assert console.main([]) == 2
    assert "launch" in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys):
    assert console.main(["lunch"]) == 2
    assert "the nearest is 'launch'" in capsys.readouterr().err


def test_a_file_in_the_working_directory_cannot_take_the_place_of_a_package(tmp_path):
    (tmp_path / "results.py").write_text("raise SystemExit('taken')")
    script = Path(sys.executable).with_name("sgt-pact")
    if not script.exists():
        pytest.skip("the package is not installed")
    root = str(Path(console.__file__).parents[1])
    run = subprocess.run(
        [script, "front", "nothing"],
        cwd=tmp_path, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": root},
    )  # fmt: skip
    assert (run.returncode, run.stderr[:15]) == (2, "error: no study")
