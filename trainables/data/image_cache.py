"""Image folders decoded once: bytes of the training size in files that all trials on a node map into memory.

    <cache folder>/images-v2/<fingerprint>-<size>[-cropped]/{train,validation,test}[_labels].npy, facts.json

The fingerprint is that of the images' contents and classes, so a changed folder gets a new cache.
"""

import json
import logging
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from search_spaces import unknown
from study_common.errors import UserError
from trainables.choices import ON_BAD_IMAGE
from trainables.data.cache_files import cache_folder, check_passing, locked, new_array
from trainables.data.decoding import decode
from trainables.data.deduplication import Contents, find_contents
from trainables.data.folder_listing import Listing
from trainables.data.normalisation import mean_and_std
from trainables.data.parallel import on_all_cores
from trainables.data.splits import stratified

VERSION = 2
"""Of decoding and split: with a new one, old caches are not used."""
SHARE = 0.1
"""The share of the images that validation has; testing too, if no published split says otherwise."""
MOST_TOLD = 20
"""Files that are left out, of which a process says which."""
FEWEST = 3
"""Each class has at least so many images, not counting a published test part: one for each split."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Preparation:
    """How the files of a folder become images of one size."""

    image_size: int = 64
    """Images are squeezed to squares of so many pixels a side, 8 to 1024."""
    on_bad_image: str = "refuse"
    """What to do if files cannot be used: "refuse" the folder, or "skip" the files."""
    crop_border: bool = False
    """Cut off the black border that endoscopes leave, with what they write there."""

    def __post_init__(self) -> None:
        if not 8 <= self.image_size <= 1024:
            raise UserError(f"image_size must be 8 to 1024 pixels, not {self.image_size}")
        if self.on_bad_image not in ON_BAD_IMAGE:
            raise unknown("on_bad_image", self.on_bad_image, ON_BAD_IMAGE)


@dataclass(frozen=True, kw_only=True)
class Decoded:
    """The images of a listing, decoded."""

    folder: Path
    """Where train.npy, validation.npy and test.npy lie, and the labels beside them."""
    fingerprint: str
    mean: tuple[float, ...]
    """Of each channel over the training images, in [0, 1]; so is `std`."""
    std: tuple[float, ...]
    left_out: tuple[str, ...]
    """The files that are not used, each with the reason."""


def open_images(listing: Listing, preparation: Preparation) -> Decoded:
    """Return the decoded images of a listing; decode them first, if that was not done before.

    One process of a node decodes, on all cores, and the others wait for it. ValueError for files that cannot
    be used, unless they are to be skipped, for two classes of the same images, for a class of fewer than
    `FEWEST` usable ones and if the cache cannot be written.
    """
    root = cache_folder() / f"images-v{VERSION}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with locked(root / "lock"):
            contents = find_contents(listing, root)
            cropped = "-cropped" if preparation.crop_border else ""
            folder = root / f"{contents.fingerprint}-{preparation.image_size}{cropped}"
            if not folder.exists():
                with tempfile.TemporaryDirectory(dir=root) as new:
                    _build(listing, contents, preparation, Path(new) / "images")
                    os.rename(Path(new) / "images", folder)
    except OSError as error:
        raise UserError(
            f"cannot keep decoded images in {root}: {error.strerror}; set XDG_CACHE_HOME to another folder"
        ) from None
    facts = json.loads((folder / "facts.json").read_text())
    bad = contents.bad + facts["damaged"]
    if bad and preparation.on_bad_image == "refuse":
        shown = "; ".join(bad[:3]) + ("; ..." if len(bad) > 3 else "")
        raise UserError(
            f"{len(bad)} of {len(listing.paths)} images in {listing.root} cannot be used ({shown}); "
            "mend or remove them, or have them left out with on_bad_image=skip"
        )
    left_out = (*bad, *contents.duplicates)
    for text in left_out[:MOST_TOLD]:
        _log.warning("left out %s", text)
    if more := left_out[MOST_TOLD:]:
        _log.warning("left out %d more", len(more))
    return Decoded(
        folder=folder,
        fingerprint=contents.fingerprint,
        mean=tuple(facts["mean"]),
        std=tuple(facts["std"]),
        left_out=left_out,
    )


def _build(listing: Listing, contents: Contents, preparation: Preparation, folder: Path) -> None:
    folder.mkdir()
    size = preparation.image_size
    pixels = new_array(folder / "all.npy", (len(contents.paths), 3, size, size))

    def problem(index: int) -> str:
        path = contents.paths[index]
        try:
            pixels[index] = decode(listing.root / path, size, crop_border=preparation.crop_border)
        except Exception as error:  # a damaged file can make its decoder raise anything
            check_passing(listing.root / path, error)
            return f"{path}: {error}"
        return ""

    problems = on_all_cores(problem, range(len(contents.paths)), "Decoding images")
    splits = _split(listing, contents, np.flatnonzero([not text for text in problems]))
    for name, chosen in splits.items():
        images = new_array(folder / f"{name}.npy", (len(chosen), 3, size, size))
        for start in range(0, len(chosen), 256):
            images[start : start + 256] = pixels[chosen[start : start + 256]]
        np.save(folder / f"{name}_labels.npy", contents.labels[chosen])
        if name == "train":
            mean, std = mean_and_std(images)
    (folder / "all.npy").unlink()
    damaged = [text for text in problems if text]
    (folder / "facts.json").write_text(json.dumps({"mean": mean, "std": std, "damaged": damaged}))


def _split(listing: Listing, contents: Contents, usable: np.ndarray) -> dict[str, np.ndarray]:
    """Return which of the contents each split has: 80, 10 and 10 % stratified, or testing as published.

    Each has an image of every class: without one, a macro metric would count the class as 0.
    """
    tested = usable[contents.tested[usable]]
    rest = np.setdiff1d(usable, tested)
    counts = np.bincount(contents.labels[rest], minlength=len(listing.class_names))
    for name, count in zip(listing.class_names, counts, strict=True):
        if count < FEWEST:
            raise UserError(
                f"the class {name} in {listing.root} has only {count} usable images, not {FEWEST}"
            )
    part = round(SHARE * usable.size)
    if not tested.size:
        tested = rest[stratified(contents.labels[rest], part, least=1)]
        rest = np.setdiff1d(rest, tested)
    validation = rest[stratified(contents.labels[rest], part, least=1)]
    return {"train": np.setdiff1d(rest, validation), "validation": validation, "test": tested}
