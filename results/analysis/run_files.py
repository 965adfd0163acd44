"""The files that runs leave in a study's directory: read here and nowhere else, and checked where they enter.

A file that is missing is not a fault: it was not copied, or the run did not get that far. A file that is damaged, or
that disagrees with its digest, is named in `RunFiles.damaged`, so that the report can say which, and is otherwise
treated as missing.
"""

import io
import math
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, TypedDict, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from search_spaces.bits import is_width
from study_common import digests, layout, parquet, validation
from study_common.documents import parse_json, parse_toml
from study_common.files import MAX_UNPACKED_BYTES, read_text

ARRAYS = {"images": "u", "labels": "iu", "predictions": "iu", "maps": "f", "class_names": "U"}
"""The arrays of a saliency file, and the kinds of their types."""

CURVE_ARRAYS = {"curve_order": "U", "curve_fraction": "f", "curve_kept": "f", "curve_accuracy": "f"}
"""The removal curves of a saliency file; it may have none of them."""

MAX_FILES_BYTES = 512 * 2**20
"""Size up to which the account of the image files is read: that of a few million."""

LARGEST_METRIC = 1e100
"""Finite values in a width table are below it, so that their squares are finite."""

Content = TypeVar("Content")


class Latency(TypedDict):
    """What is read of the time of one image; the file has more."""

    p50_ms: float
    p95_ms: float
    threads: int
    file_bytes: int
    processor: str


class RunFiles:
    """Reads the files of the runs of one study.

    Args:
        study: The directory of the study.
    """

    def __init__(self, study: Path) -> None:
        self.study = study
        self._trials = f"{study / layout.TRIALS_DIR}{os.sep}"
        self.damaged: dict[str, list[str]] = {}
        """Name of a file, such as `curve.csv`: what is wrong with those that are damaged, a sentence each."""

    def config(self, number: int, searched: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """Return the flat configuration of a trial, whose `searched` values are known from the record."""
        return self._read(self.trial(number) / layout.CONFIG_FILE, lambda file: _config(file, searched or {}))

    def curve(self, number: int) -> pd.DataFrame | None:
        """Return the learning curve of a trial: epoch, seconds, metrics by their names; one row per epoch."""
        return self._read(self.trial(number) / layout.CURVE_FILE, _curve)

    def initial_curve(self) -> pd.DataFrame | None:
        """Return the learning curve of the model that all trials start from."""
        return self._read(self.study / layout.INIT_DIR / layout.CURVE_FILE, _curve)

    def width_table(self) -> pd.DataFrame | None:
        """Return the width table of a study with --init shared: `params.*` and `metrics.*` of each estimate."""
        return self._read(self.study / layout.WIDTHS_FILE, read_width_table)

    def saliency(self, number: int | None) -> dict[str, NDArray[Any]] | None:
        """Return the arrays of a trial's saliency file, of the model that all trials start from if `number` is None.

        images (n, H, W) or (n, H, W, 3) in 0 to 255, maps (n, H, W), labels and predictions (n,), class_names (c,),
        and the removal curves if the file has them: order (MoRF, LeRF, random), fraction, kept and accuracy (k,).
        """
        folder = self.study / layout.INIT_DIR if number is None else self.trial(number)
        return self._read(folder / layout.SALIENCY_FILE, _saliency)

    def confusion(self, number: int) -> pd.DataFrame | None:
        """Return how many validation images of each class (row) the trial took for each class (column)."""
        return self._read(self.trial(number) / layout.CONFUSION_FILE, _confusion)

    def has_examination(self, number: int) -> bool:
        """Tell whether `trainables.faithfulness` examined the maps of a trial: one call to the file system."""
        return os.path.lexists(f"{self._trials}{number}{os.sep}{layout.FAITHFULNESS_FILE}")

    def examination(self, number: int) -> dict[str, float] | None:
        """Return the scores that `trainables.faithfulness` wrote about the maps of a trial."""
        return self._read(self.trial(number) / layout.FAITHFULNESS_FILE, _examination)

    def image_files(self) -> pd.DataFrame | None:
        """Return what became of each image file: path, class, split, group and reason, as text."""
        return self._read(self.study / layout.FILES_FILE, _image_files)

    def latency(self, number: int) -> dict[str, Latency] | None:
        """Return what `trainables.latency` measured of an exported trial, by the names of its models."""
        return self._read(self.study / layout.EXPORTED_DIR / str(number) / layout.LATENCY_FILE, _latency)

    def trial(self, number: int) -> Path:
        """Return the directory of a trial."""
        return self.study / layout.TRIALS_DIR / str(number)

    def _read(self, file: Path, parse: Callable[[Path], Content]) -> Content | None:
        if not os.path.lexists(file):
            return None
        try:
            if not file.is_file():  # a directory, a pipe that would never end, a link to nothing
                raise ValueError("it is not a regular file")
            content = parse(file)
            digests.check(file)
            return content
        except (OSError, ValueError, OverflowError) as error:
            message = " ".join(str(error).split()) or type(error).__name__
            sentence = f"{file.relative_to(self.study)}: {message}"
            if sentence not in self.damaged.setdefault(file.name, []):
                self.damaged[file.name].append(sentence)
            return None


def read_width_table(file: Path) -> pd.DataFrame:
    """Return a width table, without comparing its digest.

    Raises:
        ValueError: It is no table, its metrics or widths are not numbers, or it is larger than any of ours.
        OSError: It cannot be read.
    """
    table: pd.DataFrame = parquet.read(file).to_pandas(ignore_metadata=True)
    if not table.columns.is_unique:
        raise ValueError("it has two columns of one name")
    for name in map(str, table):
        kind, _, rest = name.partition(".")
        if kind == "metrics" or (kind == "params" and is_width(rest)):
            if table[name].dtype.kind not in "iuf":
                raise ValueError(f"{name} has a value that is not a number")
            if table[name].abs().between(LARGEST_METRIC, math.inf, inclusive="left").any():
                raise ValueError(f"{name} has a value of {LARGEST_METRIC:.0e} or more")
    return table


def _image_files(file: Path) -> pd.DataFrame:
    try:
        rows = pd.read_csv(io.StringIO(read_text(file, MAX_FILES_BYTES)), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(str(error)) from None
    if list(rows) != ["path", "class", "split", "group", "reason"]:
        raise ValueError("its columns are not path, class, split, group and reason")
    return rows


def _config(file: Path, searched: Mapping[str, Any]) -> dict[str, Any]:
    config = parse_toml(read_text(file))
    if wrong := [
        name for name, value in config.items() if not isinstance(value, str | int | float | bool | list)
    ]:
        raise ValueError(f"{wrong[0]} is neither a number nor a text")
    if wrong := [name for name, value in config.items() if is_width(name) and type(value) is not int]:
        raise ValueError(f"{wrong[0]} is not a whole number")
    for name, value in searched.items():  # a width may be set by another name, such as bits for bits.conv1
        if name in config and config[name] != value and str(config[name]) != str(value):
            raise ValueError(f"{name} is {config[name]!r}, and {value!r} in the record")
    return config


def _curve(file: Path) -> pd.DataFrame:
    try:
        curve = pd.read_csv(io.StringIO(read_text(file)), dtype=float)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(str(error)) from None
    if curve.empty or "epoch" not in curve:
        raise ValueError("it has no epoch")
    if (curve["epoch"].diff().iloc[1:] != 1).any() or curve["epoch"].iloc[0] not in (0, 1):
        raise ValueError("its epochs are not 1, 2, 3 and so on")
    return curve.astype({"epoch": int})


def _confusion(file: Path) -> pd.DataFrame:
    try:
        table = pd.read_csv(io.StringIO(read_text(file)), index_col=0, keep_default_na=False, dtype=str)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ValueError(str(error)) from None
    counts = table.to_numpy(str).astype(int)
    if counts.shape[0] != counts.shape[1] or not counts.size:
        raise ValueError("it has not as many rows as columns")
    if list(table.index) != list(table.columns):
        raise ValueError("its rows and columns name different classes")
    if (counts < 0).any():
        raise ValueError("it has a negative count")
    return pd.DataFrame(counts, index=table.columns, columns=table.columns)


def _examination(file: Path) -> dict[str, float]:
    found = parse_json(read_text(file))
    if not isinstance(found, dict):
        raise ValueError("it holds no scores by name")
    if wrong := [name for name, value in found.items() if not isinstance(value, int | float)]:
        raise ValueError(f"{wrong[0]} is not a number")
    scores = {name: float(value) for name, value in found.items()}
    if wrong := [name for name, score in scores.items() if math.isinf(score)]:
        raise ValueError(f"{wrong[0]} is infinite")
    return scores


def _latency(file: Path) -> dict[str, Latency]:
    found = parse_json(read_text(file))
    validation.check(found, dict[str, Latency], "it")
    measured: dict[str, Latency] = found
    if wrong := [name for name, one in measured.items() if not 0 < one["p50_ms"] <= one["p95_ms"] < math.inf]:
        raise ValueError(f"{wrong[0]} has no time")
    return measured


def _saliency(file: Path) -> dict[str, NDArray[Any]]:
    try:
        with zipfile.ZipFile(file) as archive:
            arrays = _arrays(archive)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, SyntaxError) as error:
        raise ValueError(str(error)) from None  # what zipfile and the decompressors raise on damaged bytes
    except Exception as error:  # zlib.error and its kind have no common base
        if isinstance(error, MemoryError):
            raise
        raise ValueError(str(error)) from None
    _check_shapes(arrays)
    return arrays


def _arrays(archive: zipfile.ZipFile) -> dict[str, NDArray[Any]]:
    members = {info.filename.removesuffix(".npy"): info for info in archive.infolist()}
    if missing := ARRAYS.keys() - members.keys():
        raise ValueError(f"it lacks {', '.join(sorted(missing))}")
    kinds = ARRAYS | CURVE_ARRAYS if CURVE_ARRAYS.keys() <= members.keys() else ARRAYS
    sizes = {}
    for name, allowed in kinds.items():
        with archive.open(members[name]) as stream:
            shape, dtype = _header(stream)
        if dtype.kind not in allowed:
            raise ValueError(f"{name} is of type {dtype}")
        sizes[name] = dtype.itemsize * int(np.prod([max(side, 0) for side in shape], dtype=object))
        if sizes[name] > members[name].file_size:
            raise ValueError(f"{name} is cut short")
    if (
        sum(sizes.values()) > MAX_UNPACKED_BYTES
        or sum(members[n].file_size for n in kinds) > MAX_UNPACKED_BYTES
    ):
        raise ValueError(f"its arrays are larger than {MAX_UNPACKED_BYTES >> 20} MiB")
    found = {}
    for name in kinds:
        with archive.open(members[name]) as stream:
            found[name] = np.lib.format.read_array(stream, allow_pickle=False)
            stream.read(1)  # the end, where zipfile compares the checksum
    return found


def _header(stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type that an npy file declares, without reading its array."""
    version = np.lib.format.read_magic(stream)
    read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    if version not in read:
        raise ValueError(f"it has an array of format {version}")
    shape, _, dtype = read[version](stream)
    return shape, dtype


def _check_shapes(arrays: dict[str, NDArray[Any]]) -> None:
    images, maps, classes = arrays["images"], arrays["maps"], len(arrays["class_names"])
    if images.ndim not in (3, 4) or images.shape[3:] not in ((), (3,)) or not images.size:
        raise ValueError(f"images have the shape {images.shape}")
    if maps.shape != images.shape[:3]:
        raise ValueError(f"maps have the shape {maps.shape}, images {images.shape}")
    if not np.isfinite(maps).all():
        raise ValueError("a map has a value that is not finite")
    for name in ("labels", "predictions"):
        values = arrays[name]
        if values.shape != images.shape[:1] or values.min() < 0 or values.max() >= classes:
            raise ValueError(f"{name} do not name a class of each image")
    if len({arrays[name].shape for name in CURVE_ARRAYS if name in arrays}) > 1:
        raise ValueError("the removal curves have different lengths")
