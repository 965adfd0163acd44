"""Which images a folder holds, of which class: Kvasir, HyperKvasir with its split file, any class folders."""

import csv
import os
from dataclasses import dataclass
from pathlib import Path

from study_common.errors import UserError

KVASIR = (
    "dyed-lifted-polyps",
    "dyed-resection-margins",
    "esophagitis",
    "normal-cecum",
    "normal-pylorus",
    "normal-z-line",
    "polyps",
    "ulcerative-colitis",
)
"""The class folders of Kvasir v1 and v2."""

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
_RELEASES = (".", "kvasir-dataset", "kvasir-dataset-v2")  # the folders that the archives unpack to
_SPLIT_HEADER = ["file-name", "class-name", "split-index"]
_SPLIT_NAMES = {"train", "training", "val", "valid", "validation", "test", "testing"}


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images below a folder."""

    root: Path
    class_names: tuple[str, ...]
    paths: tuple[str, ...]
    """The files, relative to `root`."""
    labels: tuple[int, ...]
    """The class of each file."""
    tested: frozenset[str] = frozenset()
    """The files that a published split keeps for testing; empty if there is none."""


def list_kvasir(data_dir: Path) -> Listing:
    """List Kvasir v1 or v2 in `data_dir` or the archive's folder in it, or HyperKvasir with its split file.

    ValueError if neither is there, or if class folders are missing or empty.
    """
    for release in _RELEASES:
        root = data_dir / release
        if missing := [name for name in KVASIR if not (root / name).is_dir()]:
            if len(missing) < len(KVASIR):
                raise UserError(
                    f"{root} lacks the Kvasir folder {missing[0]}; give the folder of all 8 classes"
                )
            continue
        return _list_classes(root, KVASIR)
    for path in sorted(data_dir.glob("*.csv")):
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            rows = csv.reader(file, delimiter=";")
            if next(rows, None) == _SPLIT_HEADER:
                return _list_split(data_dir, path, list(rows))
    raise UserError(
        f"{data_dir} has neither the 8 class folders of Kvasir nor a split file of HyperKvasir "
        f"({';'.join(_SPLIT_HEADER)}); for other class folders ask for the data set folder"
    )


def list_folder(data_dir: Path) -> Listing:
    """List a folder of class folders, at least two; images may lie deeper in them.

    ValueError if there are fewer, if one is empty, and if they are the parts of a split instead of classes.
    """
    names = sorted(
        path.name for path in data_dir.iterdir() if path.is_dir() and not path.name.startswith(".")
    )
    if len(names) < 2:
        found = f"only one, {names[0]}" if names else "none"
        raise UserError(f"{data_dir} must hold a folder for each of at least two classes; it has {found}")
    if _SPLIT_NAMES.issuperset(map(str.lower, names)):
        raise UserError(
            f"{data_dir} holds the parts of a split ({', '.join(names)}), not classes; "
            f"give one of them, such as {data_dir / names[0]}"
        )
    return _list_classes(data_dir, tuple(names))


def _list_classes(root: Path, names: tuple[str, ...]) -> Listing:
    for name in names:
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # bytes that are not UTF-8
            raise UserError(f"the name of the class folder {name!r} in {root} is not UTF-8; rename it")
    files = {name: _images(root, root / name) for name in names}
    for name, found in files.items():
        if not found:
            raise UserError(f"the class folder {root / name} holds no image; fill it or remove it")
    return Listing(
        root=root,
        class_names=names,
        paths=tuple(path for found in files.values() for path in found),
        labels=tuple(label for label, found in enumerate(files.values()) for _ in found),
    )


def _list_split(root: Path, path: Path, rows: list[list[str]]) -> Listing:
    """List the rows of a split file that names images by file name; the last of its parts is for testing."""
    places = {Path(place).name: place for place in _images(root, root)}
    for number, row in enumerate(rows, start=2):
        if len(row) != 3 or not row[2].isdigit():
            raise UserError(f"{path}, line {number}: not of the form {';'.join(_SPLIT_HEADER)}")
    names = tuple(sorted({row[1] for row in rows}))
    last = max((int(row[2]) for row in rows), default=0)
    if len(names) < 2 or last < 1:
        raise UserError(f"{path} must name at least two classes and two parts")
    found = [places.get(row[0], row[0]) for row in rows]
    return Listing(
        root=root,
        class_names=names,
        paths=tuple(found),
        labels=tuple(names.index(row[1]) for row in rows),
        tested=frozenset(place for place, row in zip(found, rows, strict=True) if int(row[2]) == last),
    )


def _images(root: Path, folder: Path) -> list[str]:
    """Return the image files below `folder`, relative to `root`; ValueError for a link out of `root`."""
    found = []
    for path in (folder, *sorted(folder.rglob("*"))):
        if path.is_symlink() and not path.resolve().is_relative_to(root.resolve()):
            raise UserError(f"{path} is a link out of {root}; put the images themselves there")
        if path.is_dir():
            if not os.access(path, os.R_OK | os.X_OK):  # rglob passes over what is in it
                raise UserError(f"the folder {path} may not be read; change its permissions")
        elif path.suffix.lower() in SUFFIXES:
            found.append(str(path.relative_to(root)))
    return found
