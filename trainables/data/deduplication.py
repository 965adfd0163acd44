"""The different images among the files of a listing, told apart by the digests of their contents."""

import hashlib
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from study_common.errors import UserError
from trainables.data.cache_files import check_passing
from trainables.data.folder_listing import Listing
from trainables.data.parallel import on_all_cores


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The different images of a listing, in the order of their digests."""

    paths: list[str]
    labels: np.ndarray
    """(n,) int, the class of each."""
    tested: np.ndarray
    """(n,) bool, whether a published split keeps it for testing."""
    fingerprint: str
    """16 hexadecimal digits of the SHA-256 over classes, digests and the published split."""
    bad: list[str]
    """Files that cannot be used, each with the reason."""
    duplicates: list[str]
    """Files left out because another of their class has the same bytes."""


def find_contents(listing: Listing, cache: Path) -> Contents:
    """Keep one file of each content, and none of a content that is in two classes.

    The digests of the contents are kept in the folder `cache`, by the files' sizes and times of change: what
    has not changed is not read again. ValueError for two classes of the same images.
    """
    digests = _digests(listing, cache)
    labels = dict(zip(listing.paths, listing.labels, strict=True))
    places: dict[str, list[str]] = defaultdict(list)
    classes: dict[str, set[str]] = {name: set() for name in listing.class_names}
    bad, duplicates, kept = [], [], []
    for path, digest in digests.items():
        if isinstance(digest, OSError):
            check_passing(listing.root / path, digest)
            bad.append(f"{path}: {digest.strerror}")
        else:
            places[digest].append(path)
            classes[listing.class_names[labels[path]]].add(digest)
    seen: dict[frozenset[str], str] = {}
    for name, found in classes.items():
        if (twin := seen.setdefault(frozenset(found), name)) != name and found:
            raise UserError(
                f"the classes {twin} and {name} in {listing.root} hold the same images; remove one"
            )
    for _, (first, *others) in sorted(places.items()):
        if len({labels[path] for path in (first, *others)}) > 1:
            bad += [f"{path}: the same image as {first}, of another class" for path in others]
            bad.append(f"{first}: the same image as {others[0]}, of another class")
        else:
            kept.append(first)
            duplicates += [f"{path}: the same image as {first}" for path in others]
    identity = [listing.class_names, [(labels[path], digests[path], path in listing.tested) for path in kept]]
    return Contents(
        paths=kept,
        labels=np.array([labels[path] for path in kept], int),
        tested=np.array([path in listing.tested for path in kept], bool),
        fingerprint=hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16],
        bad=bad,
        duplicates=duplicates,
    )


def _digests(listing: Listing, cache: Path) -> dict[str, str | OSError]:
    """Return the SHA-256 of each file's content, or why it cannot be read."""
    place = hashlib.sha256(os.fsencode(listing.root.resolve())).hexdigest()[:16]
    index = cache / f"index-{place}.json"
    known = json.loads(index.read_text()) if index.exists() else {}

    def entry(path: str) -> list[Any] | OSError:
        try:
            status = (listing.root / path).stat()
            stamp = [status.st_size, status.st_mtime_ns]
            if path in known and known[path][:2] == stamp:
                return list(known[path])
            with (listing.root / path).open("rb") as file:
                return [*stamp, hashlib.file_digest(file, "sha256").hexdigest()]
        except OSError as error:
            return error

    entries = dict(zip(listing.paths, on_all_cores(entry, listing.paths, "Looking at images"), strict=True))
    read = {path: found for path, found in entries.items() if isinstance(found, list)}
    if read != known:
        new = index.with_suffix(".new")
        new.write_text(json.dumps(read))
        os.replace(new, index)
    return {path: found[2] if isinstance(found, list) else found for path, found in entries.items()}
