"""Choices of how files become images are checked, and name their own cache."""

import pytest

from study_common.errors import UserError
from trainables.data import Preparation


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"image_size": 7}, "image_size must be 8 to 1024 pixels, not 7"),
        ({"image_size": 1025}, "image_size must be 8 to 1024 pixels, not 1025"),
        ({"on_bad_image": "skp"}, "unknown on_bad_image 'skp'; the nearest is 'skip'"),
        ({"resize": "padd"}, "unknown resize 'padd'; the nearest is 'pad'"),
        ({"group": "("}, "is no regular expression"),
    ],
)
def test_wrong_choices_are_refused(choice, message):
    with pytest.raises(UserError, match=message):
        Preparation(**choice)


def test_what_changes_the_pixels_or_the_parts_has_a_cache_of_its_own():
    choices = [
        {},
        {"image_size": 32},
        {"crop_border": True},
        {"resize": "pad"},
        {"group_near_duplicates": True},
    ]
    names = {Preparation(**choice).cache_name("0123") for choice in choices}
    assert len(names) == len(choices)
    assert (
        Preparation().cache_name("0123") == Preparation(on_bad_image="skip").cache_name("0123") == "0123-64"
    )
