"""An account of every file of an image folder: where it is used, or why it is not."""

import csv
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from study_common.digests import sealed
from trainables.data.images.image_cache import Decoded
from trainables.data.listing.file_tree import in_order, printable
from trainables.data.listing.folder_listing import Listing


class FileRow(NamedTuple):
    """What became of one file or ignored folder."""

    path: str
    class_name: str
    """"" for what is not an image of the set."""
    split: str
    """"train", "validation" or "test"; "" if it is not used."""
    group: str
    reason: str
    """Why it is not used, or of which image in another part it is a near-duplicate; else ""."""


COLUMNS = ("path", "class", "split", "group", "reason")


def file_account(listing: Listing, decoded: Decoded) -> list[FileRow]:
    """Return a row per file, sorted by path."""
    images, facts = decoded.contents.images, decoded.facts
    split = {images[index].file.path: part for part, indices in facts["parts"].items() for index in indices}
    reasons = {left_out.path: left_out.reason for left_out in decoded.left_out}
    for near in facts["near"].values():
        reasons |= {images[int(i)].file.path: f"looks like {images[j].file.path}" for i, j in near.items()}
    rows = [
        FileRow(
            image.file.path,
            listing.class_names[image.label],
            split.get(image.file.path, ""),
            image.group,
            reasons.get(image.file.path, ""),
        )
        for image in listing.images
    ]
    rows += [FileRow(left_out.path, "", "", "", left_out.reason) for left_out in listing.ignored]
    return sorted(rows, key=lambda row: in_order(row.path))


def write_file_account(rows: Iterable[FileRow], path: Path) -> None:
    """Write the rows as CSV, in one step and with a digest; no cell is read as a formula or moves a cursor."""
    with sealed(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows([plain(value) for value in row] for row in rows)


def plain(value: str) -> str:
    """Return a cell of a table without what a terminal would interpret or a spreadsheet would compute."""
    text = printable(value)
    return f"'{text}" if re.match(r"[=@]|[+-](?!\d*\.?\d*$)", text) else text
