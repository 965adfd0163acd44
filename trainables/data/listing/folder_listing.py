"""Which images a folder holds, and of which class: class folders, alone or in parts of a split, and Kvasir."""

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from study_common.errors import UserError
from trainables.data.listing.file_tree import File, FileTree, LeftOut, printable, scan

PARTS = ("train", "validation", "test")
"""The parts of a split, in this order everywhere."""
PART_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""How people name the parts, in lower case."""
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
KVASIR_RELEASES = (".", "kvasir-dataset", "kvasir-dataset-v2")
"""The folders that the archives of Kvasir unpack to."""

_MASK_FOLDER = re.compile(
    r"(?:segmentation |ground ?truth )?masks?|segmentations?|annotations?|ground ?truths?"
)
_MASK_WORD = re.compile("mask|seg|annotation")
_MASK_STEM = re.compile(r"(.+?)[ _-]?(?:mask|segmentation|seg|annotation)(?:[ _-]?\d+)?", re.IGNORECASE)


class ListedImage(NamedTuple):
    """One image and what is stated about it."""

    file: File
    label: int
    """The class, an index into `Listing.class_names`."""
    part: str = ""
    """One of `PARTS`, or "" if none is stated."""
    group: str = ""
    """Images of one group stay in one part; "" for an image on its own."""


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images below a folder."""

    root: Path
    class_names: tuple[str, ...]
    images: tuple[ListedImage, ...]
    ignored: tuple[LeftOut, ...] = ()
    """Files that do not count as images, each with the reason."""


def list_folder(data_dir: Path) -> Listing:
    """List a folder of class folders, at least two, or of the parts of a split that hold such class folders.

    Images may lie deeper in a class folder.

    Raises:
        UserError: There are fewer than two classes, one is empty, parts hold other classes, or the folder can be read
            in more than one way: parts beside other folders, masks beside images.
    """
    tree = scan(data_dir)
    folders = sorted(
        path.name for path in data_dir.iterdir() if path.is_dir() and not _is_ignored(path.name, tree)
    )
    parts = {name: PART_NAMES[name.lower()] for name in folders if name.lower() in PART_NAMES}
    if len(parts) > 1 or (parts and len(folders) == 1):
        return _list_parts(tree, folders, parts)
    if len(folders) < 2:
        found = f"only one, {folders[0]}" if folders else "none"
        raise UserError(f"{data_dir} must hold a folder for each of at least two classes; it has {found}")
    return _list_classes(tree, tuple(folders))


def list_kvasir(data_dir: Path) -> Listing | None:
    """List Kvasir v1 or v2 in `data_dir` or in the folder of its archive there; None if it is not there.

    Raises:
        UserError: Some of its class folders are missing or empty.
    """
    for release in KVASIR_RELEASES:
        root = data_dir / release
        missing = [name for name in KVASIR if not (root / name).is_dir()]
        if not missing:
            return _list_classes(scan(root), KVASIR)
        if len(missing) < len(KVASIR):
            raise UserError(f"{root} lacks the Kvasir folder {missing[0]}; give the folder of all 8 classes")
    return None


def check_class_names(names: Iterable[str], where: object) -> None:
    """Refuse names of classes that would do harm in a terminal, in a CSV file or in a spreadsheet.

    Raises:
        UserError: A name is empty, is not UTF-8, has control characters, or would be read as a formula; or two names
            look alike: they differ in capitals, unless they are single letters, in spaces, or in how their accents are
            encoded.
    """
    alike: dict[str, str] = {}
    for name in names:
        if any("\ud800" <= letter <= "\udfff" for letter in name):  # bytes that are not UTF-8
            raise UserError(f"the name of the class {name!r} in {where} is not UTF-8; rename it")
        if not name.strip() or any(unicodedata.category(c) in ("Cc", "Cf", "Zl", "Zp") for c in name):
            raise UserError(f"the name of the class {name!r} in {where} is not printable; rename it")
        if re.match(r"[=@]|[+-](?!\d*\.?\d*$)", name):
            raise UserError(
                f"the name of the class {name!r} in {where} would be a formula in a spreadsheet; rename it"
            )
        plain = " ".join(unicodedata.normalize("NFKC", name).split())
        if (other := alike.setdefault(plain.casefold() if len(plain) > 1 else plain, name)) != name:
            raise UserError(
                f"the names of the classes {other!a} and {name!a} in {where} look alike; give the images of "
                "one class one name, or different classes different ones"
            )


def check_no_masks(paths: Iterable[str], root: Path) -> None:
    """Refuse images that seem to be masks of other images, since nobody said what they are.

    Raises:
        UserError: A folder is named as masks are, or a file is named as the mask of another one.
    """
    stems = {path.rpartition(".")[0].lower(): path for path in paths}
    for folder in sorted({path.rpartition("/")[0] for path in stems.values()}):
        parts = folder.split("/")
        for depth, name in enumerate(parts, 1):
            if _MASK_FOLDER.fullmatch(re.sub(r"[_-]", " ", name.lower())):
                place = root / "/".join(parts[:depth])
                raise UserError(
                    f"{printable(str(place))} seems to hold masks, not images of a class; move or rename it, "
                    "or list the images in a file (--dataset csv --labels FILE.csv)"
                )
    for stem, path in stems.items():
        if not _MASK_WORD.search(stem):
            continue
        match = _MASK_STEM.fullmatch(stem)
        if match and (image := stems.get(match[1])):
            raise UserError(
                f"{printable(str(root / path))} seems to be a mask of {printable(image)}; move masks away, or list "
                "the images in a file (--dataset csv --labels FILE.csv)"
            )


def _is_ignored(name: str, tree: FileTree) -> bool:
    return any(left_out.path == name for left_out in tree.ignored)


def _list_parts(tree: FileTree, folders: Sequence[str], parts: dict[str, str]) -> Listing:
    """List the class folders in each part of a stated split."""
    root = tree.root
    if others := [name for name in folders if name not in parts]:
        raise UserError(
            f"{root} holds both parts of a split ({', '.join(parts)}) and {', '.join(others[:3])}; move one kind "
            "elsewhere, or list the images in a file (--dataset csv --labels FILE.csv)"
        )
    if len(set(parts.values())) < len(parts):
        raise UserError(f"{root} holds two folders of the same part ({', '.join(parts)}); join or remove one")
    if "train" not in parts.values() or len(parts) < 2:
        raise UserError(
            f"{root} holds only the part {', '.join(parts)} of a split; give train and test, or the folder in it"
        )
    listings = {
        part: _list_classes(tree, tuple(_class_folders(root / name)), prefix=f"{name}/")
        for name, part in parts.items()
    }
    first, *rest = listings.values()
    for other in rest:
        if unlike := sorted({*first.class_names} ^ {*other.class_names}):
            raise UserError(
                f"{root}: the class {unlike[0]} is not in every part of the split; add or remove it"
            )
    return Listing(
        root=root,
        class_names=first.class_names,
        images=tuple(
            image._replace(part=part) for part, listing in listings.items() for image in listing.images
        ),
        ignored=tree.ignored,
    )


def _class_folders(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _list_classes(tree: FileTree, names: tuple[str, ...], prefix: str = "") -> Listing:
    root = tree.root
    if not names:
        raise UserError(f"{root / prefix} holds no class folders; give each class a folder of its own")
    check_class_names(names, root)
    by_class: dict[str, list[File]] = {name: [] for name in names}
    loose = []
    for file in tree.images:
        if file.path.startswith(prefix):
            name, slash, _ = file.path.removeprefix(prefix).partition("/")
            if slash and name in by_class:
                by_class[name].append(file)
            else:
                loose.append(LeftOut(file.path, "not in a class folder"))
    check_no_masks((file.path for files in by_class.values() for file in files), root)
    for name, files in by_class.items():
        if not files:
            raise UserError(f"the class folder {root / prefix / name} holds no image; fill it or remove it")
    return Listing(
        root=root,
        class_names=names,
        images=tuple(
            ListedImage(file, label) for label, files in enumerate(by_class.values()) for file in files
        ),
        ignored=(*tree.ignored, *loose),
    )
