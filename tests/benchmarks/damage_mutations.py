"""Ways to damage one file: types, cuts, flips, links, sizes. Each says in a word what it did."""

import csv
import io
import json
import os
import sqlite3
import struct
import tomllib
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import tomli_w

Mutation = Callable[[Path, np.random.Generator, Path], str]

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 2**70, 1.7e308, float("inf"), float("nan"), "", "x", "\x1b[31m\n", "a\0b", [], [1], {},
    {"a": {}},
)  # fmt: skip
"""Values of other types, and of sizes that nobody expects."""

SPARSE = 3 * 2**30
"""Bytes of a file that is far too large; it takes no room on the disk."""


def cut(file: Path, rng: np.random.Generator, outside: Path) -> str:
    """Cut the file short."""
    content = file.read_bytes()
    size = int(rng.integers(0, max(1, len(content))))
    _write(file, content[: size * int(rng.integers(0, 8) > 0)])
    return f"to {size} bytes"


def flip(file: Path, rng: np.random.Generator, outside: Path) -> str:
    """Flip one bit, or a few."""
    content = bytearray(file.read_bytes())
    places = rng.integers(0, max(1, len(content)), 1 if rng.random() < 0.7 else 8)
    for place in places if content else []:
        content[place] ^= 1 << int(rng.integers(8))
    _write(file, bytes(content))
    return f"at {places.tolist()}"


def link(file: Path, rng: np.random.Generator, outside: Path) -> str:
    """Put a link, a pipe or a folder in its place."""
    target = (outside / "text", outside / "bytes", outside, Path("/nowhere"), file, Path("/dev/zero"), None)[
        rng.integers(7)
    ]
    file.unlink()
    if target is None:
        (os.mkfifo if rng.random() < 0.5 else os.mkdir)(file)
        return "a pipe or a folder"
    file.symlink_to(target)
    return f"link to {target.name}"


def resize(file: Path, rng: np.random.Generator, outside: Path) -> str:
    """Make the file larger: zeros or itself behind it, or gigabytes."""
    content = file.read_bytes()
    kind = int(rng.integers(3))
    if kind == 2:
        _write(file, content)
        os.truncate(file, SPARSE)
    else:
        _write(file, content + (bytes(2**20) if kind else content * 3))
    return ("repeated", "zeros", "sparse")[kind]


def retype(file: Path, rng: np.random.Generator, outside: Path) -> str:
    """Put a value of another type or size where the format allows it."""
    odd = ODD[rng.integers(len(ODD))]
    return f"{_RETYPE.get(file.suffix, _retype_bytes)(file, rng, odd)} = {odd!r}"


MUTATIONS: dict[str, Mutation] = {"types": retype, "cuts": cut, "flips": flip, "links": link, "sizes": resize}


def _write(file: Path, content: bytes) -> None:
    file.unlink()
    file.write_bytes(content)


def _replace(document: Any, rng: np.random.Generator, odd: Any) -> str:
    """Put `odd` in place of a random value of a JSON or TOML document; the path of it."""
    path = []
    while True:
        keys = list(document) if isinstance(document, dict) else list(range(len(document)))
        key = keys[rng.integers(len(keys))]
        path.append(str(key))
        inner = document[key]
        if not isinstance(inner, dict | list) or not inner or rng.random() < 0.3:
            document[key] = odd
            return ".".join(path)
        document = inner


def _retype_json(file: Path, rng: np.random.Generator, odd: Any) -> str:
    start, text = "", file.read_text()
    if text[:1] not in "{[":  # a line with a digest comes first
        start, _, text = text.partition("\n")
        start += "\n"
    document = json.loads(text)
    where = _replace(document, rng, odd) if isinstance(document, dict | list) and document else "all"
    _write(file, (start + json.dumps(document if where != "all" else odd)).encode())
    return where


def _retype_toml(file: Path, rng: np.random.Generator, odd: Any) -> str:
    document = tomllib.loads(file.read_text())
    where = _replace(document, rng, "none" if odd is None else odd)
    _write(file, tomli_w.dumps(document).encode())
    return where


def _retype_csv(file: Path, rng: np.random.Generator, odd: Any) -> str:
    rows = list(csv.reader(io.StringIO(file.read_text())))
    row, column = int(rng.integers(len(rows))), int(rng.integers(len(rows[0])))
    rows[row][column] = str(odd)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    _write(file, text.getvalue().encode())
    return f"row {row}, column {column}"


def _retype_npz(file: Path, rng: np.random.Generator, odd: Any) -> str:
    with np.load(file) as arrays:
        kept = dict(arrays)
    name = list(kept)[rng.integers(len(kept))]
    old = kept[name]
    changed = (
        np.full_like(old, np.inf, "f8") if old.dtype.kind in "fui" else old[:1],
        old.astype("U9"), old[..., None], old[:0], np.zeros((2**9, 2**20), np.uint8), np.array(odd, dtype=object),
    )[rng.integers(6)]  # fmt: skip
    if rng.random() < 0.2:
        del kept[name]
    else:
        kept[name] = changed
    file.unlink()
    np.savez_compressed(file, **kept)
    return name


def _retype_database(file: Path, rng: np.random.Generator, odd: Any) -> str:
    with closing(sqlite3.connect(file)) as connection:
        names = [
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        ]
        filled = [n for n in names if connection.execute(f"SELECT count(*) FROM {n}").fetchone()[0]]
        table = filled[rng.integers(len(filled))]
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        column = columns[rng.integers(len(columns))]
        (key,) = connection.execute(f"SELECT rowid FROM {table} ORDER BY random() LIMIT 1").fetchone()
        (old,) = connection.execute(f"SELECT {column} FROM {table} WHERE rowid = ?", [key]).fetchone()
        value = odd
        if column == "value_json" and rng.random() < 0.8:
            document = json.loads(old)
            if isinstance(document, dict | list) and document:
                _replace(document, rng, odd)
            value = json.dumps(document)
        elif isinstance(odd, list | dict):
            value = json.dumps(odd)
        elif isinstance(odd, int) and abs(odd) > 2**62:
            value = float(odd)
        with suppress(sqlite3.Error):  # a unique key, a missing value
            connection.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", [value, key])
            connection.commit()
    return f"{table}.{column}"


def _retype_safetensors(file: Path, rng: np.random.Generator, odd: Any) -> str:
    """Change the JSON that describes the tensors, which stay as they are."""
    content = file.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    about = json.loads(header["__metadata__"]["about"])
    where = _replace(about, rng, odd)
    header["__metadata__"]["about"] = json.dumps(about)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    _write(file, struct.pack("<Q", len(text)) + text + content[8 + length :])
    return f"about.{where}"


def _retype_packed(file: Path, rng: np.random.Generator, odd: Any) -> str:
    line, _, body = file.read_bytes().partition(b"\n")
    try:
        header = json.loads(line)
    except ValueError:
        return _retype_bytes(file, rng, odd)
    where = _replace(header, rng, odd)
    _write(file, json.dumps(header).encode() + b"\n" + body)
    return where


def _retype_bytes(file: Path, rng: np.random.Generator, odd: Any) -> str:
    _write(file, json.dumps(odd).encode())
    return "all"


_RETYPE = {
    ".json": _retype_json, ".toml": _retype_toml, ".csv": _retype_csv, ".npz": _retype_npz, ".db": _retype_database,
    ".safetensors": _retype_safetensors, ".packed": _retype_packed,
}  # fmt: skip
