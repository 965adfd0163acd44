"""One image file: every kind that cameras and archives produce comes out upright, in colour, at its size."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from study_common.errors import UserError
from trainables.data.decoding import decode, picture_box

RED, BLUE = (220, 30, 20), (20, 40, 210)


def two_tone(size=(64, 48)):
    """Red above, blue below."""
    image = Image.new("RGB", size, RED)
    image.paste(BLUE, (0, size[1] // 2, *size))
    return image


def halves(pixels):
    edge = pixels.shape[1] // 4
    return pixels[:, :edge].mean((1, 2)), pixels[:, -edge:].mean((1, 2))


KINDS = {
    "jpg": ["RGB", "CMYK", "L"],
    "png": ["RGB", "RGBA", "P", "LA", "L", "1"],
    "bmp": ["RGB", "P", "L", "1"],
    "tif": ["RGB", "RGBA", "CMYK", "P", "LA", "L", "1"],
    "webp": ["RGB", "RGBA"],
}


@pytest.mark.parametrize(("suffix", "mode"), [(suffix, mode) for suffix in KINDS for mode in KINDS[suffix]])
def test_formats_and_modes(tmp_path, suffix, mode):
    path = tmp_path / f"image.{suffix}"
    original = two_tone().quantize() if mode == "P" else two_tone().convert(mode)
    original.save(path)
    above, below = halves(decode(path, 16))
    grey = mode in ("LA", "L", "1")
    expected = [np.asarray(original.convert("RGB"))[y, 0] for y in (0, -1)]
    if grey:
        assert above.std() == below.std() == 0
    assert np.allclose([above, below], expected, atol=140 if mode == "1" else 12)


def test_a_jpeg_is_what_decoding_all_of_it_gives(tmp_path):
    x, y = np.meshgrid(np.linspace(0, 60, 640), np.linspace(0, 60, 512))
    pixels = 128 + 100 * np.stack([np.sin(x), np.cos(y), np.sin(x + y)], 2)
    path = tmp_path / "image.jpg"
    Image.fromarray(pixels.astype(np.uint8)).save(path, quality=95, subsampling=0)
    oracle = np.asarray(Image.open(path).resize((64, 64), Image.Resampling.BILINEAR), float).transpose(
        2, 0, 1
    )
    assert np.abs(decode(path, 64) - oracle).mean() < 2


def test_a_turned_photograph_is_set_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter turn clockwise of how it is stored
    path = tmp_path / "image.jpg"
    two_tone().transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    above, below = halves(decode(path, 16))
    assert np.allclose([above, below], [RED, BLUE], atol=12)


def test_a_png_named_jpg(tmp_path):
    path = tmp_path / "image.jpg"
    two_tone().save(path, "PNG")
    assert np.allclose(halves(decode(path, 16)), [RED, BLUE])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_the_high_byte(tmp_path, suffix):
    path = tmp_path / f"image.{suffix}"
    Image.fromarray(np.full((10, 10), 0x80FF, np.uint16)).save(path)
    assert (decode(path, 8) == 0x80).all()


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.uint32])
def test_thirty_two_bits_are_refused(tmp_path, kind):
    path = tmp_path / "image.tif"
    Image.fromarray(np.arange(100, dtype=kind).reshape(10, 10)).save(path)
    with pytest.raises(UserError, match="pictures of 32 bits are not read; save them with 8 or 16"):
        decode(path, 8)


def test_transparent_is_black(tmp_path):
    path = tmp_path / "image.png"
    image = two_tone().convert("RGBA")
    image.paste((255, 255, 255, 0), (0, 0, 64, 24))
    image.save(path)
    assert np.allclose(halves(decode(path, 16)), [(0, 0, 0), BLUE])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(60, 120), st.integers(60, 90))
def test_the_black_border_is_cut_off(left, top, width, height):
    pixels = np.zeros((120, 150), np.uint8)
    pixels[100:118, :12] = 150  # what is written into the border
    pixels[top : top + height, left : left + width] = 90
    pixels[top : top + height // 5, left : left + width // 5] = 0  # the rounded corner of the view
    assert picture_box(pixels) == (left, top, left + width, top + height)


def test_a_black_image_is_kept_whole():
    assert picture_box(np.zeros((5, 7), np.uint8)) == (0, 0, 7, 5)


def test_cropping_comes_before_resizing(tmp_path):
    path = tmp_path / "image.png"
    framed = Image.new("RGB", (200, 160))
    framed.paste(two_tone((100, 100)), (60, 40))
    framed.save(path)
    assert np.allclose(halves(decode(path, 16, crop_border=True)), [RED, BLUE])
    assert decode(path, 16)[:, 0].max() == 0
