"""Every public name stays what it is, whatever module is imported: none is shadowed by a module of the same name."""

import importlib
import inspect
import pkgutil

import pytest

PACKAGES = ("study_common", "search_spaces", "trainables", "results", "study")


@pytest.fixture(scope="module", autouse=True)
def everything_imported() -> None:
    for package in map(importlib.import_module, PACKAGES):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_public_name_is_shadowed_by_a_module(package: str) -> None:
    module = importlib.import_module(package)
    for name in getattr(module, "__all__", []):
        value = getattr(module, name)
        assert not inspect.ismodule(value), name
        if inspect.isclass(value) or inspect.isfunction(value):  # the others are constants and types
            assert inspect.getdoc(value), name
            home = importlib.import_module(value.__module__)
            assert getattr(home, name) is value, "it has another name where it is defined"


@pytest.mark.parametrize("package", PACKAGES)
def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        getattr(importlib.import_module(package), "nothing")  # noqa: B009
