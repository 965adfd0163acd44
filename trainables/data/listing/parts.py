"""Which images are for training, for validation and for testing: as stated, and else drawn, groups kept together."""

from collections.abc import Sequence

import numpy as np

from study_common.errors import UserError
from trainables.data.listing.folder_listing import PARTS, ListedImage, Listing
from trainables.data.listing.splits import TooFewGroupsError, grouped, stratified

SHARE = 0.1
"""The share of all images that a part for validation or testing has, if it is not stated."""
MOST = 0.2
"""A part that is taken from a stated training part has at most this share of it."""


def split(
    listing: Listing, images: Sequence[ListedImage], usable: np.ndarray, groups: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Divide images into the `PARTS`.

    What is stated stays. Parts that are not stated are taken from the training part, or from all if none is stated,
    stratified by class. Each part has an image of every class: without one, a macro metric would count the class as 0.

    Args:
        listing: Where the images are from, for messages.
        images: n images.
        usable: Ascending indices of those to divide.
        groups: (n,) integers, equal for images that must stay in one part; None if each may go anywhere.

    Returns:
        The ascending indices of each part.

    Raises:
        UserError: A part would lack a class.
    """
    labels = np.array([image.label for image in images], int)
    stated = np.array([image.part for image in images], object)
    parts = {name: usable[stated[usable] == name] for name in PARTS if (stated == name).any()}
    missing = [name for name in PARTS if name not in parts]
    if missing:
        rest = parts.pop("train") if "train" in parts else usable[stated[usable] == ""]
        count = round(SHARE * usable.size)
        if stated.any():
            count = min(count, round(MOST * rest.size))
        drawn = ["train", *(name for name in missing if name != "train")]
        _check_enough(listing, labels[rest], len(drawn))
        if groups is None:
            parts |= _draw(labels, rest, drawn, count)
        else:
            parts |= _draw_groups(listing, labels, groups, rest, drawn, count)
    for name in PARTS:
        counts = np.bincount(labels[parts[name]], minlength=len(listing.class_names))
        if not counts.all():
            absent = listing.class_names[int(counts.argmin())]
            raise UserError(
                f"the class {absent} in {listing.root} has no usable image in the {name} part; add some, or remove the "
                "class"
            )
    return {name: parts[name] for name in PARTS}


def _check_enough(listing: Listing, labels: np.ndarray, least: int) -> None:
    counts = np.bincount(labels, minlength=len(listing.class_names))
    for name, count in zip(listing.class_names, counts, strict=True):
        if count < least:
            raise UserError(
                f"the class {name} in {listing.root} has only {count} usable images, not {least}; add some, or remove "
                "the class"
            )


def _draw(labels: np.ndarray, rest: np.ndarray, drawn: Sequence[str], count: int) -> dict[str, np.ndarray]:
    """Draw `count` images for each of `drawn` but training, which has the rest."""
    parts = {}
    for name in reversed(drawn[1:]):
        parts[name] = rest[stratified(labels[rest], count, least=1)]
        rest = np.setdiff1d(rest, parts[name])
    return {**parts, "train": rest}


def _draw_groups(
    listing: Listing,
    labels: np.ndarray,
    groups: np.ndarray,
    rest: np.ndarray,
    drawn: Sequence[str],
    count: int,
) -> dict[str, np.ndarray]:
    shares = dict.fromkeys(drawn, count / max(rest.size, 1))
    shares["train"] = 1 - (len(drawn) - 1) * shares["train"]
    try:
        places = grouped(labels[rest], groups[rest], shares)
    except TooFewGroupsError as error:
        raise UserError(
            f"the class {listing.class_names[error.label]} in {listing.root} has images in too few groups for "
            f"{', '.join(drawn)}; state the parts, or make smaller groups"
        ) from None
    return {name: rest[indices] for name, indices in places.items()}
