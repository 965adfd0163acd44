"""DICOM files: their stated levels become black to white, and what cannot be read is named."""

import numpy as np
import pytest

from study_common.errors import UserError
from tests.trainables.data.pictures import fresh
from trainables.data.images.decoding import read

pydicom = pytest.importorskip("pydicom")


def write(path, pixels, **settings):
    """A file of one frame, uncompressed."""
    meta = pydicom.dataset.FileMetaDataset()
    meta.MediaStorageSOPClassUID = pydicom.uid.SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid(entropy_srcs=[str(path)])
    meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    data = pydicom.dataset.Dataset()
    data.file_meta = meta
    data.SOPClassUID, data.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    data.Rows, data.Columns = pixels.shape[:2]
    data.SamplesPerPixel = 3 if pixels.ndim == 3 else 1
    data.PhotometricInterpretation = "RGB" if pixels.ndim == 3 else "MONOCHROME2"
    data.BitsAllocated = data.BitsStored = pixels.itemsize * 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    if pixels.ndim == 3:
        data.PlanarConfiguration = 0
    data.PixelData = pixels.tobytes()
    for name, value in settings.items():
        if value is None:
            delattr(data, name)
        else:
            setattr(data, name, value)
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)
    return path


def stretched(levels, low=None, high=None):
    """The stated rule, written down once more."""
    low, high = levels.min() if low is None else low, levels.max() if high is None else high
    return np.round((np.clip(levels, low, high).astype(float) - low) / (high - low) * 255)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16])
def test_the_smallest_level_is_black_and_the_largest_white(tmp_path, kind):
    levels = np.random.default_rng(0).integers(-1000 if kind is np.int16 else 0, 200, (20, 30)).astype(kind)
    image = np.asarray(read(write(tmp_path / "x.dcm", levels), 30))
    assert image.shape == (20, 30, 3)
    assert np.abs(image[..., 0] - stretched(levels)).max() <= 1


def test_levels_that_count_from_white_are_inverted(tmp_path):
    levels = np.random.default_rng(0).integers(0, 4096, (20, 30)).astype(np.uint16)
    path = write(tmp_path / "x.dcm", levels, PhotometricInterpretation="MONOCHROME1")
    assert np.abs(np.asarray(read(path, 30))[..., 1] - (255 - stretched(levels))).max() <= 1


def test_a_stated_window_in_units_of_the_modality_is_used(tmp_path):
    levels = np.arange(2000, dtype=np.int16).reshape(40, 50)
    path = write(
        tmp_path / "x.dcm",
        levels,
        RescaleSlope="1",
        RescaleIntercept="-1000",
        WindowCenter="0",
        WindowWidth="400",
    )
    found = np.asarray(read(path, 50))[..., 0]
    assert np.abs(found - stretched(levels - 1000.0, -200, 200)).max() <= 2


def test_colour_is_read_as_it_is(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(read(write(tmp_path / "no suffix", pixels), 30)), pixels)


BAD = {
    "no pixels": ({"PixelData": None}, "it holds no pixels; remove it"),
    "frames": ({"NumberOfFrames": "5"}, "it has 5 frames; save the one to use"),
    "a colour table": ({"PhotometricInterpretation": "PALETTE COLOR"}, "are PALETTE COLOR; save it as MONO"),
    "slope nan": ({"RescaleSlope": "nan", "RescaleIntercept": "0"}, "levels that are not finite; correct"),
    "slope huge": (
        {"RescaleSlope": "1e308", "RescaleIntercept": "1e308"},
        "levels that are not finite; correct",
    ),
    "window nan": ({"WindowCenter": "nan", "WindowWidth": "10"}, "levels that are not finite; correct"),
    "cut pixels": ({"PixelData": b"\0\0"}, "cannot be decoded"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_read_says_why(tmp_path, kind, monkeypatch):
    monkeypatch.setattr(pydicom.config.settings, "_writing_validation_mode", pydicom.config.IGNORE)
    settings, message = BAD[kind]
    path = write(tmp_path / "x.dcm", np.arange(600, dtype=np.uint16).reshape(20, 30), **settings)
    with pytest.raises(UserError, match=message):
        read(path, 30)


def test_an_encoding_without_a_decoder_is_named(tmp_path):
    path = write(tmp_path / "x.dcm", np.zeros((20, 30), np.uint16))
    data = pydicom.dcmread(path)
    data.file_meta.TransferSyntaxUID = (
        pydicom.uid.JPEGXLLossless if hasattr(pydicom.uid, "JPEGXLLossless") else (pydicom.uid.MPEG2MPML)
    )
    data.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
    data["PixelData"].VR = "OB"
    data.save_as(path)
    with pytest.raises(UserError, match=r"its pixels \(.+\) cannot be decoded .*; save it uncompressed"):
        read(path, 30)


def test_a_text_named_dcm_is_refused(tmp_path):
    (tmp_path / "x.dcm").write_text("no image" * 50)
    with pytest.raises(UserError, match="it is not a DICOM file"):
        read(tmp_path / "x.dcm", 30)


def test_without_pydicom_the_extra_is_named(tmp_path, monkeypatch):
    path = write(tmp_path / "x.dcm", np.zeros((20, 30), np.uint8))
    monkeypatch.setattr("trainables.data.images.dicom.find_spec", lambda _: None)
    with pytest.raises(UserError, match=r"pip install 'sgt-pact-study\[dicom\]'"):
        read(path, 30)


def test_a_folder_of_dicom_is_a_data_set(tmp_path):
    for number in range(20):
        levels = np.random.default_rng(number).integers(0, 4096, (20, 30)).astype(np.uint16)
        write(tmp_path / "set" / "ab"[number % 2] / f"{number}.dcm", levels)
    data = fresh("folder", tmp_path / "set", image_size=16)
    assert data.train.images.shape == (16, 1, 16, 16)


def test_a_small_file_of_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    path = write(tmp_path / "x.dcm", np.zeros((20, 30), np.uint8), Rows=40_000, Columns=30_000)
    with pytest.raises(
        UserError, match="it has 30000 x 40000 pixels, and 32 million are read; scale it down"
    ):
        read(path, 30)


def test_a_file_that_is_deflated_as_a_whole_is_refused(tmp_path):
    data = pydicom.dcmread(write(tmp_path / "x.dcm", np.zeros((20, 30), np.uint8)))
    data.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    data.save_as(tmp_path / "x.dcm")
    with pytest.raises(UserError, match=r"it is deflated as a whole, .*; save it uncompressed"):
        read(tmp_path / "x.dcm", 30)


def test_colour_of_another_kind_is_refused(tmp_path):
    pixels = np.full((20, 30, 3), 128, np.uint8)
    path = write(tmp_path / "x.dcm", pixels, PhotometricInterpretation="HSV")
    with pytest.raises(UserError, match="its pixels are HSV; save it as MONOCHROME2 or RGB"):
        read(path, 30)
    path = write(tmp_path / "x.dcm", pixels, PhotometricInterpretation="YBR_FULL")
    assert np.array_equal(np.asarray(read(path, 30)), pixels), "grey is the same in both"
