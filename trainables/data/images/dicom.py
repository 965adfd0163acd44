"""DICOM files as images, by pydicom, which the extra [dicom] installs."""

from importlib.util import find_spec
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image

from study_common.errors import UserError

SUFFIXES = (".dcm", ".dicom")
GREYS = ("MONOCHROME1", "MONOCHROME2")
COLOURS = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
"""Colour that pydicom gives as RGB."""
MAX_PIXELS = 32_000_000
"""Pixels up to which an image is decoded: rescaling makes several copies of 8 bytes each, in less than 2 GB."""
MAX_FILE_BYTES = 256 * 2**20
_REMEDY = "correct RescaleSlope, RescaleIntercept, WindowCenter and WindowWidth, or remove them"


def is_dicom(path: Path, file: BinaryIO) -> bool:
    """Whether a file, which is open at its start, is DICOM by its name or its first bytes; it is at its start again."""
    found = path.suffix.lower() in SUFFIXES or file.read(132)[128:] == b"DICM"
    file.seek(0)
    return found


def read(path: Path) -> Image.Image:
    """Read the one frame of a DICOM file in 8-bit colour.

    Grey levels are rescaled to the units of the modality and, where the file states a window, cut to that. The smallest
    level that is left becomes black and the largest white; the other way round for MONOCHROME1.

    Raises:
        UserError: pydicom is missing, or the file has no pixels, several frames or an encoding that is not supported.
    """
    if not find_spec("pydicom"):
        raise UserError("DICOM files need pydicom; install it with pip install 'sgt-pact-study[dicom]'")
    from pydicom import config, dcmread
    from pydicom.errors import InvalidDicomError
    from pydicom.filereader import read_file_meta_info
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    config.settings.reading_validation_mode = config.IGNORE  # what matters is checked below, in one sentence
    if path.stat().st_size > MAX_FILE_BYTES:
        raise UserError(f"it is larger than {MAX_FILE_BYTES >> 20} MiB; save its image as a file of its own")
    try:
        if read_file_meta_info(path).get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            raise UserError("it is deflated as a whole, which can hide any size; save it uncompressed")
        data = dcmread(path)
    except InvalidDicomError:
        raise UserError("it is not a DICOM file; restore it or remove it") from None
    if "PixelData" not in data:
        raise UserError("it holds no pixels; remove it")
    if (frames := int(data.get("NumberOfFrames", 1) or 1)) > 1:
        raise UserError(f"it has {frames} frames; save the one to use as a file of its own")
    rows, columns = (int(data.get(side) or 0) for side in ("Rows", "Columns"))
    if rows * columns > MAX_PIXELS:
        raise UserError(
            f"it has {columns} x {rows} pixels, and {MAX_PIXELS // 10**6} million are read; scale it down"
        )
    try:
        pixels = data.pixel_array
    except Exception as error:  # pydicom raises several kinds, one per decoder and fault
        encoding = getattr(data.file_meta.get("TransferSyntaxUID"), "name", "unknown")
        raise UserError(
            f"its pixels ({encoding}) cannot be decoded ({error}); save it uncompressed"
        ) from None
    kind = data.get("PhotometricInterpretation")
    if kind not in (COLOURS if data.SamplesPerPixel == 3 else GREYS):
        raise UserError(f"its pixels are {kind}; save it as MONOCHROME2 or RGB")
    if data.SamplesPerPixel == 3:
        if data.BitsAllocated != 8:
            raise UserError("it has colour with more than 8 bits per channel; save it with 8")
        return Image.fromarray(pixels)
    try:
        with np.errstate(all="ignore"):
            levels = apply_voi_lut(apply_modality_lut(pixels, data), data).astype(np.float64)
    except (ValueError, TypeError, LookupError, AttributeError, NotImplementedError) as error:
        raise UserError(f"its rescaling or window cannot be used ({error}); {_REMEDY}") from None
    if not np.isfinite(levels).all() or not np.isfinite(np.ptp(levels)):
        raise UserError(f"its rescaling or window gives levels that are not finite; {_REMEDY}")
    return _grey(levels, inverted=kind == "MONOCHROME1")


def _grey(levels: np.ndarray, *, inverted: bool) -> Image.Image:
    low, high = levels.min(), levels.max()
    grey = np.round((levels - low) * (255 / (high - low) if high > low else 0))
    return Image.fromarray((255 - grey if inverted else grey).astype(np.uint8)).convert("RGB")
