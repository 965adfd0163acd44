"""Copies of pictures are found, other pictures are not, and no two near-duplicates are in two groups."""

import io

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image

from trainables.data.images.near_duplicates import ALIKE, LENGTH, look_alikes, nearest_copies, perceptual_hash


def picture(seed):
    """Smooth shapes, as photographs have them."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)


def jpeg(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(io.BytesIO(file.getvalue()))


COPIES = {
    "compressed": lambda image: jpeg(image, 40),
    "half": lambda image: image.resize((160, 120)),
    "a third, compressed": lambda image: jpeg(image.resize((107, 80)), 60),
    "brighter": lambda image: image.point(lambda level: min(255, int(level * 1.1 + 5))),
    "grey": lambda image: image.convert("L"),
    "one frame later": lambda image: image.crop((2, 1, 320, 240)),
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_is_found_and_no_other_picture(kind):
    pictures = [picture(seed) for seed in range(40)]
    hashes = np.array([perceptual_hash(image) for image in pictures])
    copies = np.array([perceptual_hash(COPIES[kind](image)) for image in pictures])
    assert nearest_copies(copies, hashes).tolist() == list(range(40))
    assert (nearest_copies(hashes[:20], hashes[20:]) == -1).all()
    assert len(set(look_alikes(hashes, np.arange(40)))) == 40


def test_pictures_of_one_level_are_near_to_nothing():
    black, grey = (perceptual_hash(Image.new("RGB", (50, 40), level)) for level in ((0, 0, 0), (90, 90, 91)))
    assert nearest_copies(np.array([black]), np.array([black, grey])).tolist() == [-1]
    assert look_alikes(np.array([black, grey, black]), np.arange(3)).tolist() == [0, 1, 2]


@st.composite
def hashes_near_each_other(draw):
    """A few hashes and changed ones, some near and some not."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    centres = generator.integers(-127, 128, (draw(st.integers(1, 5)), LENGTH))
    rows = []
    for _ in range(draw(st.integers(1, 30))):
        noise = generator.normal(0, draw(st.integers(0, 40)), LENGTH)
        rows.append((centres[generator.integers(len(centres))] + noise).round().clip(-127, 127))
    return np.array(rows).astype(np.int8), generator.integers(0, len(rows), len(rows))


@given(hashes_near_each_other())
def test_no_near_duplicates_are_in_two_groups_and_groups_are_no_larger_than_they_must(drawn):
    hashes, groups = drawn
    found = look_alikes(hashes, groups)
    exact = hashes.astype(float)
    cosines = exact @ exact.T / np.outer(*[np.linalg.norm(exact, axis=1)] * 2)
    assume((np.abs(cosines - ALIKE) > 1e-6).all())
    near = cosines >= ALIKE
    for start in range(len(hashes)):
        reached, before = {start}, set()
        while reached != before:
            before = set(reached)
            reached |= {j for i in before for j in range(len(hashes)) if near[i][j] or groups[i] == groups[j]}
        assert {j for j in range(len(hashes)) if found[j] == found[start]} == reached
