"""The names that a setting can have."""

import subprocess
import sys

import pytest

from study_common.errors import UserError
from trainables import choices
from trainables.choices import AUGMENTATION_SETS, AUGMENTATIONS, CHOICES, MODELS, TORCHVISION
from trainables.training.config import Config


@pytest.mark.parametrize("name", CHOICES)
def test_the_default_of_a_setting_is_one_of_its_choices(name: str) -> None:
    assert getattr(Config(), name) in CHOICES[name]


@pytest.mark.parametrize("name", CHOICES)
def test_every_choice_is_accepted_and_nothing_else(name: str) -> None:
    for choice in CHOICES[name]:
        assert getattr(Config.parse({name: choice}), name) == choice
    with pytest.raises(UserError, match=name):
        Config.parse({name: "nothing"})


def test_a_name_stands_once_in_its_list() -> None:
    for values in (*CHOICES.values(), AUGMENTATIONS):
        assert len(values) == len(set(values))
    assert set(TORCHVISION) < set(MODELS)


@pytest.mark.parametrize("name", AUGMENTATION_SETS)
def test_a_set_of_augmentations_has_their_order(name: str) -> None:
    members = AUGMENTATION_SETS[name]
    assert members == tuple(augmentation for augmentation in AUGMENTATIONS if augmentation in members)
    assert Config.parse({"augment": name}).augment == members


def test_what_is_upright_is_not_flipped_and_keeps_its_colour() -> None:
    assert not {"flip_h", "flip_v", "color"} & set(AUGMENTATION_SETS["upright"])


def test_listing_the_choices_imports_nothing() -> None:
    read = f"exec(open({choices.__file__!r}).read())"
    code = f"import sys; before = set(sys.modules); {read}; print(len(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "0\n"
