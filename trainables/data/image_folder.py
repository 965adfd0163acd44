"""A data set that is a folder of images: listed as its kind says, grouped, and decoded."""

import os
from dataclasses import replace
from pathlib import Path

from study_common.errors import UserError
from trainables.data.images.image_cache import Decoded, open_images
from trainables.data.images.preparation import Preparation
from trainables.data.listing.folder_listing import KVASIR, Listing, list_folder, list_kvasir
from trainables.data.listing.garbage import without_collection
from trainables.data.listing.groups import with_groups
from trainables.data.listing.label_files import list_hyper_kvasir, list_labels

FOLDERS = ("kvasir", "folder", "csv")
"""The data sets of this kind."""
GIVE_IT = "give it with --data-dir (--set data_dir=DIR of trainables.train)"


def open_folder(name: str, data_dir: str | Path | None, preparation: Preparation) -> tuple[Listing, Decoded]:
    """List a folder of images and decode them, or find them decoded.

    Args:
        name: One of `FOLDERS`.
        data_dir: The folder.
        preparation: How the files become images.

    Raises:
        UserError: There is no such folder, or its files are missing, damaged or ambiguous.
    """
    listing = list_images(name, data_dir, preparation)
    return listing, open_images(listing, preparation)


def list_images(name: str, data_dir: str | Path | None, preparation: Preparation) -> Listing:
    """List a folder of images as a data set of the kind `name`, and group them; see `open_folder`."""
    with without_collection():
        return _list_and_group(name, data_dir, preparation)


def _list_and_group(name: str, data_dir: str | Path | None, preparation: Preparation) -> Listing:
    if not data_dir:
        raise UserError(f"the data set {name} needs the folder of its images; {GIVE_IT}")
    if not Path(data_dir).is_dir():
        raise UserError(f"no such folder: {data_dir}; {GIVE_IT}")
    if not os.access(data_dir, os.R_OK | os.X_OK):
        raise UserError(f"the folder {data_dir} may not be read; change its permissions")
    listing = _list(name, Path(data_dir), preparation.labels)
    if preparation.group:
        listing = replace(listing, images=with_groups(listing.images, preparation.group))
    return listing


def _list(name: str, data_dir: Path, labels: str) -> Listing:
    if name == "csv":
        return list_labels(data_dir, Path(labels))
    if name == "folder":
        return list_folder(data_dir)
    if listing := list_kvasir(data_dir) or list_hyper_kvasir(data_dir):
        return listing
    raise UserError(
        f"{data_dir} has neither the {len(KVASIR)} class folders of Kvasir nor a split file of HyperKvasir "
        "(file-name;class-name;split-index); for other class folders ask for the data set folder"
    )
