"""One image file: every kind that cameras and archives produce comes out upright, in colour, at its size."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from study_common.errors import UserError
from trainables.data.images.decoding import bit_depth, fit, is_deep, picture_box, read, to_8_bits

RED, BLUE = (220, 30, 20), (20, 40, 210)


def decode(path, size, **choices):
    """One file alone, as the cache decodes it."""
    image = read(path, size)
    if is_deep(image):
        image = to_8_bits(image, bit_depth(int(np.asarray(image).max())))
    return fit(image, size, **choices)


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
    "gif": ["P", "L", "1"],
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
@pytest.mark.parametrize(
    ("largest", "bits"), [(200, 8), (256, 10), (4095, 12), (4096, 14), (20_000, 16), (65535, 16)]
)
def test_the_bits_that_are_used_decide_which_eight_are_kept(tmp_path, suffix, largest, bits):
    levels = np.linspace(0, largest, 100).astype(np.uint16).reshape(10, 10)
    Image.fromarray(levels).save(tmp_path / f"image.{suffix}")
    image = read(tmp_path / f"image.{suffix}", 10)
    assert is_deep(image)
    assert bit_depth(largest) == bits
    expected = (
        levels.astype(float) * 256 / 2**bits
    )  # an independent scale: the share of the range, of 256 levels
    assert np.abs(np.asarray(to_8_bits(image, bits)) - expected).max() < 1


def test_sixteen_bits_that_count_from_white_are_inverted(tmp_path):
    levels = np.arange(100, dtype=np.uint16).reshape(10, 10) * 600
    Image.fromarray(levels).save(tmp_path / "white.tif", tiffinfo={262: 0})
    with Image.open(tmp_path / "white.tif") as image:
        assert image.tag_v2[262] == 0
    assert np.array_equal(np.asarray(read(tmp_path / "white.tif", 10)), levels.max() - levels)


def test_colour_of_sixteen_bits_is_refused_rather_than_cut(tmp_path):
    header = struct.pack(">IIBBBBB", 4, 4, 16, 2, 0, 0, 0)  # 16 bits per channel, RGB
    rows = b"".join(b"\0" + bytes(range(24)) for _ in range(4))
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path = tmp_path / "deep.png"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
            for kind, body in chunks
        )
    )
    with pytest.raises(
        UserError, match="colour with 16 bits per channel would lose the lower 8; save it as PNG"
    ):
        read(path, 8)


@pytest.mark.parametrize("suffix", ["gif", "tif", "webp", "png"])
def test_several_pages_are_refused(tmp_path, suffix):
    pages = [two_tone(), two_tone((64, 48)).transpose(Image.Transpose.FLIP_TOP_BOTTOM)]
    pages[0].save(tmp_path / f"pages.{suffix}", save_all=True, append_images=pages[1:])
    with pytest.raises(UserError, match="it has 2 pages; save the one to use"):
        read(tmp_path / f"pages.{suffix}", 8)


@pytest.mark.parametrize("kind", [np.float32, np.int32, np.uint32])
def test_thirty_two_bits_are_refused(tmp_path, kind):
    path = tmp_path / "image.tif"
    Image.fromarray(np.arange(100, dtype=kind).reshape(10, 10)).save(path)
    with pytest.raises(UserError, match="a sign or of 32 bits have no stated range; save it as PNG or TIFF"):
        decode(path, 8)


def test_what_is_no_image_is_told_with_the_formats(tmp_path):
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(UserError, match=r"it is none of JPEG, PNG, BMP, GIF, TIFF, WEBP, DICOM"):
        read(tmp_path / "x.png", 8)


def test_a_square_is_squashed_padded_or_cropped(tmp_path):
    image = Image.new("RGB", (60, 20), RED)
    image.paste(BLUE, (20, 0, 40, 20))  # three squares in a row: red, blue, red
    squash, pad, crop = (fit(image, 12, resize=resize)[:, 6] for resize in ("squash", "pad", "crop"))
    assert np.allclose(squash[:, [1, 6, 10]].T, [RED, BLUE, RED], atol=3)
    assert np.allclose(pad[:, [1, 6, 10]].T, [RED, BLUE, RED], atol=3)
    assert fit(image, 12, resize="pad")[:, [0, 3, 8, 11]].max() == 0  # bars above and below
    assert np.allclose(crop[:, 1:-1].T, [BLUE] * 10, atol=3)


def test_transparent_is_black(tmp_path):
    path = tmp_path / "image.png"
    image = two_tone().convert("RGBA")
    image.paste((255, 255, 255, 0), (0, 0, 64, 24))
    image.save(path)
    assert np.allclose(halves(decode(path, 16)), [(0, 0, 0), BLUE])


@given(st.integers(0, 30), st.integers(0, 30), st.integers(60, 120), st.integers(60, 90))
def test_the_black_border_is_cut_off(left, top, width, height):
    pixels = np.zeros((120, 170), np.uint8)
    pixels[top : top + height, left : left + width] = 90
    pixels[top : top + height // 5, left : left + width // 5] = 0  # the rounded corner of the view
    pixels[100:118, 155:168] = 150  # what is written into the border
    assert picture_box(pixels) == (left, top, left + width, top + height)


@given(st.integers(0, 2**32 - 1), st.integers(12, 40))
def test_dark_tissue_and_a_dark_lesion_at_the_edge_of_the_picture_stay(seed, level):
    """Most of the picture is dark, and the lesion, darker still, lies at its edge: nothing of either is cut."""
    generator = np.random.default_rng(seed)
    pixels = generator.integers(0, 6, (90, 120))
    left, top = generator.integers(5, 20, 2)
    view = (slice(top, top + 60), slice(left, left + 80))
    pixels[view] = generator.integers(level, level + 8, (60, 80))
    lesion = (slice(top + 20, top + 35), slice(left, left + 9))
    pixels[lesion] = generator.integers(11, 14, (15, 9))
    box = picture_box(pixels.astype(np.uint8))
    assert box == (left, top, left + 80, top + 60)


def test_a_black_image_is_kept_whole():
    assert picture_box(np.zeros((5, 7), np.uint8)) == (0, 0, 7, 5)


def test_cropping_comes_before_resizing(tmp_path):
    path = tmp_path / "image.png"
    framed = Image.new("RGB", (200, 160))
    framed.paste(two_tone((100, 100)), (60, 40))
    framed.save(path)
    assert np.allclose(halves(decode(path, 16, crop_border=True)), [RED, BLUE])
    assert decode(path, 16)[:, 0].max() == 0


def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    Image.new("P", (8001, 8000)).save(tmp_path / "large.png", transparency=0)
    assert (tmp_path / "large.png").stat().st_size < 100_000
    with pytest.raises(UserError, match="it has 8001 x 8000 pixels, and 64 million are read; scale it down"):
        read(tmp_path / "large.png", 32)
    Image.new("L", (8001, 8000)).save(tmp_path / "large.jpg")
    assert read(tmp_path / "large.jpg", 32).width < 8001, "a JPEG is decoded at a smaller scale"
