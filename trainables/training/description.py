"""What a checkpoint says of itself, checked where it enters: a digest only shows that nobody altered it since."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from study_common.errors import UserError
from study_common.validation import check
from trainables.data.listing.folder_listing import check_class_names

SMALLEST_STD = 1e-9
"""Images are divided by their standard deviation, and float32 must hold the quotient."""
DEPTHS = (0, 8, 10, 12, 14, 16)
"""Bits of the levels of grey images, see `decoding.bit_depth`; 0 if they have at most 8."""


class _Begun(TypedDict):
    config: dict[str, Any]
    fingerprint: str


class _Resumable(_Begun):
    curve: list[dict[str, float]]


class _Finished(_Begun):
    metrics: dict[str, float]
    signature: list[int]
    class_names: list[str]
    mean: list[float]
    std: list[float]
    depth: NotRequired[int]


def check_begun(path: Path, about: Mapping[str, Any]) -> None:
    """Check what every checkpoint of a run says: the configuration and the fingerprint of its images.

    Args:
        path: The file, for the message.
        about: Its description, see `checkpoint.read`.

    Raises:
        UserError: It lacks one, or one has another type.
    """
    _check(path, about, _Begun)


def check_resumable(path: Path, about: Mapping[str, Any]) -> None:
    """Check the same and the curve so far, of at least one epoch, of a file to resume from; UserError as above."""
    _check(path, about, _Resumable)
    if not about["curve"] or not all(float(row.get("epoch", 0.5)).is_integer() for row in about["curve"]):
        raise _wrong(path, "its curve has no epoch")


def check_finished(path: Path, about: Mapping[str, Any]) -> None:
    """Check that a description of a finished model is whole, and that its parts agree; UserError as above."""
    _check(path, about, _Finished)
    if len(about["signature"]) != 3 or min(about["signature"]) < 1:
        raise _wrong(path, "signature is not the channels, the size and the number of classes")
    channels, _, classes = about["signature"]
    if channels not in (1, 3):
        raise _wrong(path, f"its images have {channels} channels, and can have 1 or 3")
    if len(about["class_names"]) != classes or len(set(about["class_names"])) != classes:
        raise _wrong(path, f"class_names are not {classes} different names")
    check_class_names(about["class_names"], path)
    if len(about["mean"]) != channels or not all(0 <= one <= 1 for one in about["mean"]):
        raise _wrong(path, f"mean is not {channels} numbers from 0 to 1")
    if len(about["std"]) != channels or not all(SMALLEST_STD <= one <= 1 for one in about["std"]):
        raise _wrong(path, f"std is not {channels} numbers above 0, up to 1")
    if about.get("depth", 0) not in DEPTHS:
        raise _wrong(path, f"depth is {about['depth']}, and can be {', '.join(map(str, DEPTHS))}")


def _check(path: Path, about: Mapping[str, Any], kind: Any) -> None:
    try:
        check(about, kind, "its description")
    except UserError as error:
        raise _wrong(path, str(error)) from None


def _wrong(path: Path, what: str) -> UserError:
    return UserError(f"{path} cannot be used: {what}; copy or train it again")
