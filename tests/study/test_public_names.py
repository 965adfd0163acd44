"""The package as it is imported: public names, and commands that parse before they import Ray."""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest

import study
from study_common import commands
from tests.conftest import Command


def test_public_names_stay_what_they_are_whatever_is_imported() -> None:
    for module in pkgutil.walk_packages(study.__path__, "study."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    for name in study.__all__:
        assert callable(getattr(study, name)), name
        assert not inspect.ismodule(getattr(study, name)), name
    assert set(study.__all__) <= set(dir(study))
    with pytest.raises(AttributeError, match="no attribute 'run'"):
        study.run  # noqa: B018


@pytest.mark.parametrize(
    "words",
    ["launch --space mixed_bits", "status", "resume s", "confirm s --top 1", "simulate --table t.parquet"],
)
def test_without_ray_a_command_names_the_remedy(
    words: str, command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(commands, "find_spec", lambda name: None)
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "study.toml").touch()
    name, *rest = words.split()
    code, out, error = command(f"study.{name}", *rest, "--runs-dir", str(tmp_path))
    assert (code, out) == (2, "")
    assert error == "error: this needs ray; install it with pip install 'sgt-pact-study[study]'\n"
