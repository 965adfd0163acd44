"""The different images among the files of a listing, told apart by the digests of their contents."""

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from study_common.errors import UserError
from trainables.data.images.cache_files import check_temporary, locked, read_checked, write_checked
from trainables.data.images.parallel import on_all_cores
from trainables.data.listing.file_tree import File, LeftOut, printable
from trainables.data.listing.folder_listing import PARTS, ListedImage, Listing
from trainables.data.listing.groups import joined


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The different images of a listing, in the order of their digests."""

    images: tuple[ListedImage, ...]
    digests: tuple[str, ...]
    """The SHA-256 of each."""
    groups: np.ndarray | None
    """(n,) int, equal for images that must stay in one part; None if no groups are stated."""
    fingerprint: str
    """16 hexadecimal digits of the SHA-256 over classes, digests, stated parts and groups."""
    unusable: tuple[LeftOut, ...]
    """Files that should be images and cannot be used."""
    duplicates: tuple[LeftOut, ...]
    """Files left out because another of their class has the same bytes."""


def find_contents(listing: Listing, cache: Path) -> Contents:
    """Keep one file of each content, and none of a content that is in two classes.

    Of copies in several stated parts the one for testing is kept, then the one for validation. Digests are kept in the
    folder `cache`, by the files' sizes, times of change and inodes: what has not changed is not read again.

    Raises:
        UserError: Two classes hold the same images, or a group lies in two stated parts.
    """
    digests = _digests(listing, cache)
    by_content: dict[str, list[ListedImage]] = defaultdict(list)
    unusable, duplicates, kept = [], [], []
    for image in listing.images:
        digest = digests[image.file.path]
        if isinstance(digest, LeftOut):
            unusable.append(digest)
        else:
            by_content[digest].append(image)
    _check_twins(listing, by_content)
    _check_parts_of_groups(listing)
    same_group = _Joined()
    for _, copies in sorted(by_content.items()):
        if len(copies) == 1:
            kept += copies
            continue
        first, *others = sorted(copies, key=lambda image: -PARTS.index(image.part) if image.part else 0)
        if len({image.label for image in copies}) > 1:
            unusable += [_same(image, first, ", of another class") for image in others]
            unusable.append(_same(first, others[0], ", of another class"))
        else:
            kept.append(first)
            duplicates += [_same(image, first) for image in others]
            for image in others:
                same_group.add(first.group, image.group)
    groups = same_group.of(kept) if any(image.group for image in kept) else None
    return Contents(
        images=tuple(kept),
        digests=tuple(str(digests[image.file.path]) for image in kept),
        groups=groups,
        fingerprint=_fingerprint(listing, kept, digests, groups),
        unusable=tuple(unusable),
        duplicates=tuple(duplicates),
    )


class _Joined:
    """Groups that hold copies of one picture count as one."""

    def __init__(self) -> None:
        self.pairs: list[tuple[str, str]] = []

    def add(self, one: str, other: str) -> None:
        if one and other and one != other:
            self.pairs.append((one, other))

    def of(self, images: list[ListedImage]) -> np.ndarray:
        """Return the smallest index of an image of the same group, for each image."""
        names = {image.group for image in images} | {name for pair in self.pairs for name in pair}
        number = {name: n for n, name in enumerate(sorted(names))}
        roots = joined(len(number), ((number[one], number[other]) for one, other in self.pairs))
        first: dict[int, int] = {}
        return np.array([first.setdefault(roots[number[im.group]], i) for i, im in enumerate(images)], int)


def _fingerprint(
    listing: Listing, kept: list[ListedImage], digests: Mapping[str, str | LeftOut], groups: np.ndarray | None
) -> str:
    """Digest what the images are; a set without groups and with no part but a test part keeps its first form."""
    identity: list[object] = [
        listing.class_names,
        [(image.label, digests[image.file.path], image.part == "test") for image in kept],
    ]
    if any(image.part in ("train", "validation") for image in kept):
        identity.append([image.part for image in kept])
    if groups is not None:
        identity.append({"groups": groups.tolist()})
    return hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]


def _same(image: ListedImage, other: ListedImage, suffix: str = "") -> LeftOut:
    return LeftOut(image.file.path, f"the same image as {printable(other.file.path)}{suffix}")


def _check_twins(listing: Listing, by_content: Mapping[str, list[ListedImage]]) -> None:
    classes: dict[int, set[str]] = defaultdict(set)
    for digest, copies in by_content.items():
        for image in copies:
            classes[image.label].add(digest)
    seen: dict[frozenset[str], int] = {}
    for label, found in sorted(classes.items()):
        if (twin := seen.setdefault(frozenset(found), label)) != label:
            names = f"{listing.class_names[twin]} and {listing.class_names[label]}"
            raise UserError(f"the classes {names} in {listing.root} hold the same images; remove one")


def _check_parts_of_groups(listing: Listing) -> None:
    parts: dict[str, str] = {}
    for image in listing.images:
        if image.group and (part := parts.setdefault(image.group, image.part)) != image.part:
            raise UserError(
                f"the group {printable(image.group)} lies in two stated parts, {part or 'none'} and "
                f"{image.part or 'none'}; move its images into one"
            )


def _digests(listing: Listing, cache: Path) -> dict[str, str | LeftOut]:
    """Return the SHA-256 of each file's content, or why it cannot be read."""
    place = hashlib.sha256(os.fsencode(os.path.realpath(listing.root))).hexdigest()[:16]
    index = cache / f"index-{place}.json"
    with locked(cache / f"index-{place}.lock", f"reads the images in {listing.root}"):
        known = read_checked(index)
        if not isinstance(known, dict):
            known = {}

        found: dict[str, str | LeftOut] = {}
        changed = []
        for image in listing.images:
            file = image.file
            if file.problem:
                found[file.path] = LeftOut(file.path, file.problem)
            elif (entry := known.get(file.path, "")).endswith(f" {file.stamp}"):
                found[file.path] = entry.partition(" ")[0]
            else:
                changed.append(file)
        digests = on_all_cores(lambda file: _digest(listing.root, file), changed, "Looking at images")
        found |= {file.path: digest for file, digest in zip(changed, digests, strict=True)}
        if changed or len(found) != len(known):
            stamps = {image.file.path: image.file.stamp for image in listing.images}
            write_checked(
                index, {path: f"{d} {stamps[path]}" for path, d in found.items() if isinstance(d, str)}
            )
    return found


def _digest(root: Path, file: File) -> str | LeftOut:
    try:
        with (root / file.path).open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        check_temporary(root / file.path, error)
        return LeftOut(file.path, error.strerror or str(error))
