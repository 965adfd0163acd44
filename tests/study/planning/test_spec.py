"""What a user asks: settings as they are typed, and the options that only a launch has."""

import math
from dataclasses import fields

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from study.planning.spec import IMAGES, Spec, setting
from study.store.options import Options, flags
from study_common import objectives
from study_common.errors import UserError
from trainables import Config

NAMES = st.from_regex(r"[a-z_.0-9]{1,12}", fullmatch=True)
VALUES = (
    st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text("\n \"'=é#", max_size=6)
)


@given(NAMES, VALUES)
def test_a_value_as_toml_writes_it_is_read_back(name: str, value: object) -> None:
    written = tomli_w.dumps({"value": value}).partition("=")[2].strip()
    read = setting(f"{name}={written}")
    assert read == (name, value)
    assert type(read[1]) is type(value)


@pytest.mark.parametrize("word", ["threshold", "/data/weights.pth", "a=b", "True", "1e", "[1"])
def test_what_is_no_toml_is_a_string(word: str) -> None:
    assert setting(f"mask={word}") == ("mask", word)


@pytest.mark.parametrize("text", ["", "lambda1", "lambda1=", "=1", "="])
def test_a_setting_needs_a_name_and_a_value(text: str) -> None:
    with pytest.raises(UserError, match="is not of the form key=value"):
        setting(text)


def test_only_the_space_must_be_given() -> None:
    with pytest.raises(TypeError, match="space"):
        Spec()  # type: ignore[call-arg]
    spec = Spec(space="mixed_bits")
    assert (spec.max_bops, spec.max_size, spec.objectives) == (math.inf, math.inf, objectives.DEFAULT)
    assert dict(spec.fixed) == {}


def test_each_option_of_a_study_is_one_of_its_launch() -> None:
    assert flags(Options).items() <= flags(Spec).items()
    assert {each.name for each in fields(Spec)} - flags(Spec).keys() == {"runs_dir", "command"}


def test_a_setting_of_the_images_has_a_flag_and_is_one_of_a_run() -> None:
    assert set(IMAGES) <= flags(Spec).keys()
    assert set(IMAGES) <= Config().flat().keys()


def test_a_choice_is_one_that_a_run_takes() -> None:
    of = flags(Spec)
    for name in ("preset", "dataset", "resize"):
        assert len(of[name].choices) > 1
    for preset in of["preset"].choices:
        assert Config.parse({"preset": preset})
