"""The public names: loaded on first use, and never hidden by a command of the same name."""

import subprocess
import sys

import pytest

import trainables

HEAVY = ("torch", "torchvision", "captum", "pandas", "numpy")


def loaded_after(code: str) -> set[str]:
    """The heavy packages that a fresh interpreter has imported after `code`."""
    ask = f"{code}\nimport sys\nprint(*(name for name in {HEAVY} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_public_name_is_found_after_every_module_was_imported() -> None:
    code = """
import importlib, pkgutil, trainables
for module in pkgutil.walk_packages(trainables.__path__, "trainables."):
    importlib.import_module(module.name)
for name in trainables.__all__:
    assert callable(getattr(trainables, name)), name
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'trainables' has no attribute 'train_'"):
        trainables.train_  # noqa: B018


@pytest.mark.parametrize(
    "code",
    ["import trainables", "from trainables.training.config import Config, presets; Config(lr=0.1)"],
)
def test_the_settings_are_known_without_anything_heavy(code: str) -> None:
    assert loaded_after(code) == set()
    assert "torch" in loaded_after("import trainables; trainables.layers(trainables.Config.parse({}))")


def test_a_run_imports_nothing_that_only_other_runs_need() -> None:
    """They take longer to import than torch; a study pays for them in its driver and in each worker."""
    code = "import study.execution.driver, trainables.training.run"
    ask = f"{code}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert {"torch", "ray"} <= loaded
    assert (
        not {"torchvision", "torchmetrics", "captum", "scipy.ndimage", "matplotlib", "sympy", "torch._dynamo"}
        & loaded
    )
