"""Images listed in a file: a CSV of paths and classes that the user gives, and the split file of HyperKvasir."""

import csv
import posixpath
from collections.abc import Iterator, Mapping
from pathlib import Path

from study_common.errors import UserError, unknown
from trainables.data.listing.file_tree import File, LeftOut, printable, scan
from trainables.data.listing.folder_listing import PART_NAMES, ListedImage, Listing, check_class_names

COLUMNS = ("path", "class", "split", "group")
"""The columns of a file of labels; `split` and `group` may be missing."""
MAX_HEADER = 1000
"""Characters up to which the first line of a table is read, to tell what it is."""
MAX_LABELS_BYTES = 128 * 2**20
"""Size up to which a list is read: that of about a million images."""
_SEPARATORS = (",", ";", "\t")
_HYPER_KVASIR = ["file-name", "class-name", "split-index"]


def list_labels(data_dir: Path, labels: Path) -> Listing:
    """List the images that the CSV file `labels` names.

    Its first line names the columns: `path`, relative to `data_dir`, `class`, and optionally `split` (train, validation
    or test) and `group`; they are separated by commas, semicolons or tabs.

    Raises:
        UserError: The file cannot be read, has other columns or an empty value, lists an image twice, or names a path
            outside of `data_dir`.
    """
    rows = list(_rows(labels))
    if not rows:
        raise UserError(f"{labels} lists no images; add a line for each")
    tree = scan(data_dir)
    files = {file.path: file for file in tree.images}
    names = tuple(sorted({row["class"] for _, row in rows}))
    check_class_names(names, labels)
    if len(names) < 2:
        raise UserError(f"{labels} must name at least two classes; it has only {names[0]}")
    first_line: dict[str, int] = {}
    images = []
    for line, row in rows:
        path = _inside(row["path"], f"{labels}, line {line}")
        if (earlier := first_line.setdefault(path, line)) != line:
            raise UserError(
                f"{labels} lists {printable(path)} in lines {earlier} and {line}; keep one of them"
            )
        file = files.get(path) or _missing(data_dir, path)
        part = _part(row.get("split", ""), f"{labels}, line {line}")
        images.append(ListedImage(file, names.index(row["class"]), part, row.get("group", "")))
    for column, values in (
        ("split", {i.part != "" for i in images}),
        ("group", {i.group != "" for i in images}),
    ):
        if len(values) > 1:
            raise UserError(f"{labels} has a {column} for some images only; give all of them one, or none")
    unlisted = tuple(LeftOut(p, f"not listed in {labels.name}") for p in files if p not in first_line)
    return Listing(root=data_dir, class_names=names, images=tuple(images), ignored=(*tree.ignored, *unlisted))


def list_hyper_kvasir(data_dir: Path) -> Listing | None:
    """List the images of HyperKvasir's split file in `data_dir`; the last of its parts is for testing.

    Returns:
        The listing, or None if there is no such file.

    Raises:
        UserError: A line is not of the file's form, or the name of a file says not which of two images it is.
    """
    for path in sorted(data_dir.glob("*.csv")):
        if not path.is_file():  # a named pipe would block
            continue
        with path.open(encoding="utf-8-sig", newline="", errors="replace") as file:
            if next(csv.reader([file.readline(MAX_HEADER)], delimiter=";"), None) != _HYPER_KVASIR:
                continue
            _check_size(path)
            try:
                rows = list(csv.reader(file, delimiter=";"))
            except csv.Error as error:
                raise UserError(f"cannot read {path}: {error}; restore it") from None
            return _list_hyper_kvasir(data_dir, path, rows)
    return None


def _list_hyper_kvasir(root: Path, table: Path, rows: list[list[str]]) -> Listing:
    for line, row in enumerate(rows, start=2):
        if len(row) != 3 or not row[2].isascii() or not row[2].isdigit():
            raise UserError(f"{table}, line {line}: not of the form {';'.join(_HYPER_KVASIR)}")
    tree = scan(root)
    names = tuple(sorted({row[1] for row in rows}))
    check_class_names(names, table)
    last = max((int(row[2]) for row in rows), default=0)
    if len(names) < 2 or last < 1:
        raise UserError(f"{table} must name at least two classes and two parts; restore it")
    places: dict[str, list[File]] = {}
    for file in tree.images:
        places.setdefault(posixpath.basename(file.path), []).append(file)
    images = []
    first_line: dict[str, int] = {}
    for line, (name, label, part) in enumerate(rows, start=2):
        if (earlier := first_line.setdefault(name, line)) != line:
            raise UserError(
                f"{table} lists {printable(name)} in lines {earlier} and {line}; keep one of them"
            )
        found = places.get(name) or [_missing(root, name)]
        if len(found) > 1:
            raise UserError(
                f"{table}, line {line}: {printable(name)} may be {found[0].path} or {found[1].path}; rename one, "
                "or list whole paths (--dataset csv --labels FILE.csv)"
            )
        images.append(ListedImage(found[0], names.index(label), "test" if int(part) == last else ""))
    return Listing(root=root, class_names=names, images=tuple(images), ignored=tree.ignored)


def _rows(labels: Path) -> Iterator[tuple[int, Mapping[str, str]]]:
    """Yield the number of each line and its values by column."""
    if not labels.is_file():  # a named pipe would block
        raise UserError(f"there is no file of labels at {labels}; give it with --labels")
    _check_size(labels)
    try:
        with labels.open(encoding="utf-8-sig", newline="") as file:
            header = file.readline(MAX_HEADER).rstrip("\r\n")
            separator = max(_SEPARATORS, key=header.count)
            columns = [name.strip() for name in next(csv.reader([header], delimiter=separator), [])]
            _check_columns(labels, columns)
            reader = csv.reader(file, delimiter=separator, strict=True)
            for values in reader:
                line = reader.line_num + 1
                if not values:
                    continue
                if len(values) != len(columns):
                    raise UserError(
                        f"{labels}, line {line} has {len(values)} values, not {len(columns)}; repair it"
                    )
                row = dict(zip(columns, (value.strip() for value in values), strict=True))
                if empty := [name for name in ("path", "class") if not row[name]]:
                    raise UserError(f"{labels}, line {line} has no {empty[0]}; fill it in")
                yield line, row
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise UserError(f"cannot read {labels}: {error}; save it as CSV in UTF-8") from None


def _check_size(table: Path) -> None:
    if table.stat().st_size > MAX_LABELS_BYTES:
        raise UserError(
            f"{table} is larger than {MAX_LABELS_BYTES >> 20} MiB, as no list of images is; name another"
        )


def _check_columns(labels: Path, columns: list[str]) -> None:
    for name in columns:
        if not name:
            raise UserError(f"{labels} has a column without a name, as pandas writes its index; leave it out")
        if name not in COLUMNS:
            raise unknown(f"column of {labels}", name, COLUMNS)
        if columns.count(name) > 1:
            raise UserError(f"{labels} has two columns {name}; keep one")
    for name in ("path", "class"):
        if name not in columns:
            raise UserError(f"{labels} has no column {name}; its first line must name path and class")


def _inside(path: str, where: str) -> str:
    """Return a path in the form that `scan` gives it."""
    normal = posixpath.normpath(path)
    if posixpath.isabs(normal) or normal.split("/")[0] == "..":
        raise UserError(
            f"{where}: {printable(path)} leads out of the folder; give paths relative to --data-dir"
        )
    return normal


def _part(value: str, where: str) -> str:
    if value and value.lower() not in PART_NAMES:
        raise unknown(f"split ({where})", value, ("train", "validation", "test"))
    return PART_NAMES.get(value.lower(), "")


def _missing(root: Path, path: str) -> File:
    problem = "not read, since its suffix is not an image's" if (root / path).exists() else "No such file"
    if "\\" in path:
        problem += "; folders are separated by /"
    return File(path, "", problem)
