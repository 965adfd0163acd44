"""Sets in the layout of MedMNIST: one .npz file with the images and labels of three stated parts."""

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import numpy as np

from study_common.errors import UserError
from study_common.files import MAX_UNPACKED_BYTES
from trainables.data.listing.folder_listing import PARTS

PREFIXES = dict(zip(PARTS, ("train", "val", "test"), strict=True))
"""How the names of the arrays of a part begin."""
EXPANDING = 32
"""How many times as large as its file a set above `MAX_UNPACKED_BYTES` may be; images of a camera stay far below."""


def read_parts(data_dir: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Read all parts of a set.

    Args:
        data_dir: The .npz file, or a folder that holds one.

    Returns:
        By part, uint8 images (n, C, size, size) with C 1 or 3, and labels (n,) of the classes 0 ... c - 1.

    Raises:
        UserError: There is no such file or more than one, it is damaged, or it is not of this layout: volumes, several
            labels per image, a class that is missing in a part.
    """
    path = _find(data_dir)
    try:
        arrays = _arrays(path)
        parts = {part: _read_part(path, arrays, prefix) for part, prefix in PREFIXES.items()}
    except UserError:
        raise
    except Exception as error:  # a damaged file can make NumPy raise anything, MemoryError included
        raise UserError(f"{path} is not a set in the layout of MedMNIST ({error}); fetch it again") from None
    if len({images.shape[1:] for images, _ in parts.values()}) > 1:
        raise UserError(f"{path} has images of several sizes; fetch it again")
    classes = max(int(labels.max()) for _, labels in parts.values()) + 1
    for part, (_, labels) in parts.items():
        if absent := sorted({*range(classes)} - {*labels.tolist()}):
            raise UserError(
                f"{path} has no image of the class {absent[0]} in the {part} part; choose another set"
            )
    if classes < 2:
        raise UserError(f"{path} has only one class; choose another set")
    return parts


def _arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a file by name.

    Raises:
        Exception: One is missing, shorter than it says or damaged, or they expand to far more than the file is large.
    """
    names = [f"{prefix}_{kind}" for prefix in PREFIXES.values() for kind in ("images", "labels")]
    with zipfile.ZipFile(path) as archive:
        members = [archive.getinfo(f"{name}.npy") for name in names]
        for member in members:
            with archive.open(member) as stream:
                shape, dtype = _header(stream)
            if math.prod(shape) * dtype.itemsize > member.file_size:
                raise ValueError(f"{member.filename} is cut short")
        size = sum(member.file_size for member in members)
        if size > max(MAX_UNPACKED_BYTES, EXPANDING * path.stat().st_size):
            raise ValueError(f"its arrays would take {size >> 20} MiB")
        found = {}
        for name, member in zip(names, members, strict=True):
            with archive.open(member) as stream:
                found[name] = np.lib.format.read_array(stream, allow_pickle=False)
                stream.read(1)  # the end, where zipfile compares the checksum
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype]:
    """Return the shape and type that an npy file declares, without reading its array."""
    first = np.lib.format.read_magic(stream) == (1, 0)
    read = np.lib.format.read_array_header_1_0 if first else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(stream)
    return shape, dtype


def _find(data_dir: Path) -> Path:
    if data_dir.is_file():
        return data_dir
    found = sorted(path for path in data_dir.glob("*.npz") if path.is_file()) if data_dir.is_dir() else []
    if len(found) != 1:
        names = (
            f"{len(found)} .npz files ({', '.join(p.name for p in found[:3])})" if found else "no .npz file"
        )
        raise UserError(f"{data_dir} has {names}; name the file of the set with --data-dir")
    return found[0]


def _read_part(path: Path, arrays: Mapping[str, np.ndarray], prefix: str) -> tuple[np.ndarray, np.ndarray]:
    images, labels = arrays[f"{prefix}_images"], arrays[f"{prefix}_labels"]
    if images.dtype != np.uint8 or images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] != 3):
        raise UserError(
            f"{path} holds {prefix}_images of shape {images.shape} and type {images.dtype}; it must be (n, size, size) "
            "or (n, size, size, 3) of uint8"
        )
    if images.shape[1] != images.shape[2] or not len(images):
        raise UserError(
            f"{path} holds {prefix}_images of shape {images.shape}; they must be square, and some"
        )
    if labels.shape not in ((len(images),), (len(images), 1)) or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{path} holds {prefix}_labels of shape {labels.shape} and type {labels.dtype}; it must be one whole "
            "number per image"
        )
    if labels.min() < 0 or labels.max() > 10_000:
        raise UserError(
            f"{path} holds {prefix}_labels from {labels.min()} to {labels.max()}; classes start at 0"
        )
    channels_first = images[:, None] if images.ndim == 3 else np.moveaxis(images, 3, 1)
    return np.ascontiguousarray(channels_first), labels.reshape(-1).astype(np.int64)
