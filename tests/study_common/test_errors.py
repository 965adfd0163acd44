"""Errors name the nearest valid name, and where the fault is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import (
    MissingPackageError,
    StudyWarning,
    UserError,
    check_known,
    located,
    nearest,
    unknown,
)

NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6)


@given(st.text(max_size=8), NAMES)
def test_the_nearest_is_always_one_of_the_valid_names(name: str, valid: list[str]) -> None:
    assert nearest(name, valid) in valid


@given(NAMES, st.data())
def test_a_valid_name_is_nearest_to_itself(valid: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(valid))
    assert nearest(name, valid) == name
    check_known("layer", [name], iter(valid))


def test_without_valid_names_there_is_no_nearest() -> None:
    assert nearest("conv1", []) == ""
    assert str(unknown("layer", "conv1", [])) == "unknown layer 'conv1'; there are none to choose from"


def test_an_unknown_name_is_told_with_the_nearest_and_all_valid_ones() -> None:
    error = unknown("sampler", "tpa", iter(["gp", "tpe"]))
    assert str(error) == "unknown sampler 'tpa'; the nearest is 'tpe' (valid: gp, tpe)"
    assert "unknown bit-width 3; " in str(unknown("bit-width", 3, ["4", "8"])), "a name need not be text"


def test_the_first_unknown_name_is_the_one_that_is_told() -> None:
    with pytest.raises(UserError, match="unknown layer 'conv8'"):
        check_known("layer", ["conv1", "conv8", "conv9"], iter(["conv1", "fc1"]))


def test_a_place_is_put_in_front_once_per_level() -> None:
    message = r"^mine\.toml: \[bits\]: 5 is not a valid bit-width$"
    with pytest.raises(UserError, match=message), located("mine.toml"), located("[bits]"):
        raise UserError("5 is not a valid bit-width")


def test_a_fault_of_this_program_gets_no_place() -> None:
    with pytest.raises(ValueError, match=r"^ours$") as raised, located("mine.toml"):
        raise ValueError("ours")
    assert not isinstance(raised.value, UserError)


def test_a_missing_package_can_be_caught_as_a_missing_module() -> None:
    assert issubclass(MissingPackageError, UserError)
    assert issubclass(MissingPackageError, ModuleNotFoundError)
    assert issubclass(StudyWarning, UserWarning)
