"""Every module of the packages has a test file of its own name: that of `study/store/lease.py` is `test_lease.py`."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("study_common", "search_spaces", "trainables", "results", "study")
COMMANDS = {
    "trainables": ("cache", "export"),
    "results": ("compare", "front", "report", "select"),
    "study": ("confirm", "launch", "simulate", "status"),
}
"""What a user types: `tests/<package>/test_commands.py` covers it."""
ELSEWHERE: dict[str, str] = {
    "trainables/models/calls.py": "tests/trainables/training/test_bad_models.py",
    "trainables/deployment/card.py": "tests/trainables/deployment/test_folder.py",
    "trainables/deployment/example_script.py": "tests/trainables/deployment/test_folder.py",
    "trainables/deployment/formats.py": "tests/trainables/deployment/test_folder.py",
    "trainables/deployment/graph.py": "tests/trainables/deployment/test_qdq.py",
    "trainables/deployment/packed.py": "tests/trainables/test_packed.py",
    "trainables/deployment/parity.py": "tests/trainables/deployment/test_folder.py",
    "trainables/deployment/runtime.py": "tests/trainables/deployment/test_folder.py",
    "trainables/deployment/timing.py": "tests/trainables/test_latency.py",
    "trainables/deployment/weights.py": "tests/trainables/deployment/test_qdq.py",
}
"""Modules that are still tested by another file only, and which."""


def modules() -> list[Path]:
    """Return every module but `__init__` and `__main__`, from the root of the project."""
    found = (path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return sorted(path for path in found if not path.stem.startswith("__"))


def test_of(module: Path) -> Path:
    return Path("tests") / module.parent / f"test_{module.name}"


test_of.__test__ = False  # type: ignore[attr-defined]
EXCEPTIONS = {
    **{
        f"{package}/{name}.py": f"tests/{package}/test_commands.py"
        for package in COMMANDS
        for name in COMMANDS[package]
    },
    **ELSEWHERE,
}


@pytest.mark.parametrize("module", modules(), ids=str)
def test_a_module_has_a_test_file_of_its_own_name(module: Path) -> None:
    if str(module) not in EXCEPTIONS:
        assert (ROOT / test_of(module)).is_file(), f"write {test_of(module)}"


@pytest.mark.parametrize("module", EXCEPTIONS)
def test_an_exception_is_still_one(module: str) -> None:
    assert (ROOT / module).is_file(), "there is no such module; remove it here"
    assert not (ROOT / test_of(Path(module))).exists(), "it has a test file of its own; remove it here"
    assert (ROOT / EXCEPTIONS[module]).is_file()


def test_there_are_modules() -> None:
    assert {path.parts[0] for path in modules()} == set(PACKAGES)
