"""Image folders decoded once: bytes of the training size in files that all trials on a machine map into memory.

    <cache folder>/images-v4/<fingerprint>-<size>[-<choices>]/

The fingerprint is that of the images' contents and classes, so a changed folder gets a new cache. What is read back is
verified (`decoded_files`); a damaged cache is decoded again.
"""

import logging
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from study_common.errors import UserError
from study_common.files import real
from trainables.data.images import decoded_files
from trainables.data.images.cache_files import cache_folder, check_temporary, locked
from trainables.data.images.decoded_files import IMAGES_FILE, RowFile
from trainables.data.images.decoding import bit_depth, fit, is_deep, read, to_8_bits
from trainables.data.images.deduplication import Contents, find_contents
from trainables.data.images.near_duplicates import LENGTH, look_alikes, nearest_copies, perceptual_hash
from trainables.data.images.normalisation import mean_and_std
from trainables.data.images.parallel import on_all_cores
from trainables.data.images.preparation import Preparation
from trainables.data.listing.file_tree import LeftOut
from trainables.data.listing.folder_listing import PARTS, Listing
from trainables.data.listing.garbage import without_collection
from trainables.data.listing.parts import split

VERSION = 4
"""Of decoding and split: with a new one, old caches are not used."""
MOST_NAMED = 20
"""Files that are left out, of which a process names so many."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The images of a listing, decoded."""

    folder: Path
    fingerprint: str
    contents: Contents
    facts: dict[str, Any]
    """What `_build` found; see there."""
    left_out: tuple[LeftOut, ...]
    """The images that are not used."""


def images_folder() -> Path:
    """Return where decoded images are kept."""
    return cache_folder() / f"images-v{VERSION}"


def contents_of(listing: Listing) -> Contents:
    """Return which images of a listing are the same, by hashes of their bytes that are kept in the cache.

    Raises:
        UserError: Two classes hold the same images, a group lies in two stated parts, or the cache cannot be written.
    """
    root = images_folder()
    with _kept_in(root), without_collection():
        root.mkdir(parents=True, exist_ok=True)
        return find_contents(listing, root)


@contextmanager
def _kept_in(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UserError(
            f"cannot keep decoded images in {root}: {error.strerror}; set XDG_CACHE_HOME to another folder"
        ) from None


def open_images(listing: Listing, preparation: Preparation) -> Decoded:
    """Return the decoded images of a listing; decode them first, if that was not done before.

    One process of a machine decodes a set, on all cores, and the others wait for it.

    Raises:
        UserError: Files cannot be used and are not to be skipped, two classes hold the same images, a part has no image
            of a class, or the cache cannot be written.
    """
    root, contents = images_folder(), contents_of(listing)
    fingerprint = contents.fingerprint
    folder = root / preparation.cache_name(fingerprint)
    with (
        _kept_in(root),
        locked(root / f"{folder.name}.lock", f"decodes the images in {listing.root}"),
    ):
        facts = decoded_files.read_facts(folder)
        if facts is None:
            if folder.exists():
                _log.warning("the decoded images in %s are damaged; decoding them again", folder)
            facts = _rebuild(listing, contents, preparation, folder)
    unusable = _unusable(contents, facts["damaged"])
    _check_usable(listing, unusable, preparation)
    left_out = (*unusable, *contents.duplicates)
    return Decoded(folder=folder, fingerprint=fingerprint, contents=contents, facts=facts, left_out=left_out)


def _check_usable(listing: Listing, unusable: Sequence[LeftOut], preparation: Preparation) -> None:
    if unusable and preparation.on_bad_image == "refuse":
        shown = "; ".join(map(str, unusable[:3])) + ("; ..." if len(unusable) > 3 else "")
        raise UserError(
            f"{len(unusable)} of {len(listing.images)} images in {listing.root} cannot be used ({shown}); "
            "repair or remove them, or leave them out with --set on_bad_image=skip"
        )


def report(decoded: Decoded) -> None:
    """Log which images are not used, and how many for validation and testing look like one in another part."""
    for one in decoded.left_out[:MOST_NAMED]:
        _log.warning("left out %s", one)
    if more := decoded.left_out[MOST_NAMED:]:
        _log.warning("left out %d more", len(more))
    for part, near in decoded.facts["near"].items():
        if near:
            _log.warning(
                "%d of %d images for %s look like one in another part; group_near_duplicates=true keeps them together",
                len(near),
                len(decoded.facts["parts"][part]),
                part,
            )


def _unusable(contents: Contents, damaged: Mapping[str, str]) -> list[LeftOut]:
    """Name the files that cannot be used, those included that cannot be decoded for the reason given by index."""
    reasons = ((contents.images[int(index)].file.path, reason) for index, reason in damaged.items())
    return [*contents.unusable, *(LeftOut(path, reason) for path, reason in reasons)]


class _Result(NamedTuple):
    """What decoding one file gave."""

    problem: str = ""
    grey: bool = True
    largest: int = 0
    """The largest level of a file of more than 8 bits, which is yet to be scaled; 0 for another file."""
    hash: np.ndarray = np.zeros(LENGTH, np.int8)


def _rebuild(listing: Listing, contents: Contents, preparation: Preparation, folder: Path) -> dict[str, Any]:
    new = folder.with_name(f".{folder.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of a process that was killed
    try:
        new.mkdir()
        facts = _build(listing, contents, preparation, new)
        facts |= {"name": folder.name, "source": str(real(listing.root))}
        decoded_files.write_facts(new, facts)
        shutil.rmtree(folder, ignore_errors=True)
        os.rename(new, folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return facts


def _build(listing: Listing, contents: Contents, preparation: Preparation, folder: Path) -> dict[str, Any]:
    """Decode all images into `folder` and return the facts.

    parts        the indices into the contents of each part, in the order of the pixels
    labels       the class of each of the contents
    damaged      the reason by index, for contents that cannot be decoded
    near         for validation and test: by index, the index of a near-duplicate in another part
    shape        (C, size, size); C is 1 if all images are grey
    depth        the bits of images of more than 8, 0 if there are none
    mean, std    of each channel of the training images
    """
    size = preparation.image_size
    file = RowFile(folder / IMAGES_FILE, len(contents.images), 3 * size * size)
    try:
        results, depth = _decode_all(listing, contents, preparation, file)
        hashes = np.array([result.hash for result in results], np.int8).reshape(-1, LENGTH)
        damaged = {str(index): result.problem for index, result in enumerate(results) if result.problem}
        usable = np.flatnonzero([not result.problem for result in results])
        groups = contents.groups
        if preparation.group_near_duplicates:
            groups = np.arange(len(hashes)) if groups is None else groups
            groups = look_alikes(hashes, groups)
        try:
            parts = split(listing, contents.images, usable, groups)
        except UserError:  # perhaps because images are damaged, which is what there is to repair
            _check_usable(listing, _unusable(contents, damaged), preparation)
            raise
        order = np.concatenate(list(parts.values()))
        channels = 1 if all(results[index].grey for index in usable) else 3
        shape = (channels, size, size)
        file.keep(len(results), channels * size * size)  # first, so that shorter rows are moved
        file.reorder([*order.tolist(), *np.setdiff1d(np.arange(len(results)), order).tolist()])
        file.keep(order.size, channels * size * size)
        train = (np.frombuffer(c, np.uint8).reshape(-1, *shape) for c in file.chunks(0, len(parts["train"])))
        mean, std = mean_and_std(train)
        digest = file.sha256()
    finally:
        file.close()
    return {
        "parts": {name: indices.tolist() for name, indices in parts.items()},
        "labels": [image.label for image in contents.images],
        "damaged": damaged,
        "near": _near(parts, hashes),
        "shape": shape,
        "depth": depth,
        "mean": mean,
        "std": std,
        "sha256": digest,
    }


def _decode_all(
    listing: Listing, contents: Contents, preparation: Preparation, file: RowFile
) -> tuple[list[_Result], int]:
    """Write the pixels of each file to its row; return the results, and how many bits 16-bit files use."""

    def decode(index: int, depth: int = 0) -> _Result:
        path = listing.root / contents.images[index].file.path
        try:
            image = read(path, preparation.image_size)
            if is_deep(image):
                if not depth:
                    return _Result(largest=max(1, int(np.asarray(image).max())))
                image = to_8_bits(image, depth)
            pixels = fit(
                image, preparation.image_size, resize=preparation.resize, crop_border=preparation.crop_border
            )
            found = perceptual_hash(image)
        except Exception as error:  # a damaged file can make its decoder raise anything
            check_temporary(path, error)
            return _Result(problem=" ".join(str(error).split()) or type(error).__name__)
        file.write(index, pixels.tobytes())
        grey = image.mode == "L" or bool((pixels[0] == pixels[1]).all() and (pixels[1] == pixels[2]).all())
        return _Result(grey=grey, hash=found)

    results = on_all_cores(decode, range(len(contents.images)), "Decoding images")
    deep = [index for index, result in enumerate(results) if result.largest]
    depth = bit_depth(max((results[index].largest for index in deep), default=0)) if deep else 0
    again = on_all_cores(lambda index: decode(index, depth), deep, "Decoding 16-bit images")
    for index, result in zip(deep, again, strict=True):
        results[index] = result
    return results, depth


def _near(parts: dict[str, np.ndarray], hashes: np.ndarray) -> dict[str, dict[str, int]]:
    """Find images for validation with a near-duplicate in training, and for testing with one in the others."""
    train, validation, test = (parts[name] for name in PARTS)
    found = {}
    for name, mine, others in (
        ("validation", validation, train),
        ("test", test, np.concatenate((train, validation))),
    ):
        nearest = nearest_copies(hashes[mine], hashes[others])
        found[name] = {str(mine[i]): int(others[nearest[i]]) for i in np.flatnonzero(nearest >= 0)}
    return found
