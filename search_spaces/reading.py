"""Spaces as TOML: the ones that come with the package, and a user's own files."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from search_spaces.bits import KINDS, is_width, parse_group
from search_spaces.domains import parse_domain
from search_spaces.space import Point, Space
from study_common.documents import parse_toml
from study_common.errors import UserError, check_known, located, unknown
from study_common.files import expanded, read_text

_FOLDER = Path(__file__).parent / "spaces"
_KEYS = ("description", "fixed", "parameters", *KINDS, "points")


def names() -> tuple[str, ...]:
    """Return the names of the spaces that come with the package.

    >>> "mixed_bits" in names()
    True
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load(name_or_path: str | Path) -> Space:
    """Read a space: one that comes with the package by its name, or any file whose path ends in .toml.

    Raises:
        UserError: The name is unknown, or the file is missing, no TOML or no space.

    >>> list(load("mixed_bits").parameters)
    ['lambda1', 'lambda2', 'eta', 'mask_ratio', 'alpha_init']
    """
    path = expanded(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in names():
            if path.is_dir():
                raise UserError(f"{path} is a folder; name a .toml file in it")
            raise unknown("space", str(name_or_path), names())
        path = _FOLDER / f"{name_or_path}.toml"
    try:
        document = parse_toml(read_text(path).removeprefix("\ufeff"))  # Windows puts a mark first
    except OSError as error:
        raise UserError(f"cannot read the space file {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path} is not a TOML file in UTF-8; save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path} is not a TOML file: {error}") from None
    except ValueError as error:
        raise UserError(f"{path} cannot be read as a space: {error}") from None
    space = parse(document, path.stem)
    if not (space.parameters or space.bits or space.points):
        raise UserError(f"space {path.stem}: it varies nothing; give it [parameters], [bits] or [[points]]")
    return space


def parse(document: Mapping[str, Any], name: str) -> Space:
    """Read a space from a parsed TOML document.

    Args:
        document: The document.
        name: Name of the space.

    Raises:
        UserError: It is not a space; the message names the key that is wrong.

    >>> parse({"bits": {"layers": "*", "values": [2, 5]}}, "mine")
    Traceback (most recent call last):
    study_common.errors.UserError: space mine: [bits]: 5 is not a valid bit-width; choose from 2, 3, 4, 6, 8, 32
    """
    with located(f"space {name}"):
        check_known("key", document, _KEYS)
        description = document.get("description", "")
        if not isinstance(description, str):
            raise UserError(f"description must be a string, not {description!r}")
        parameters = {}
        for key, table in _flat(_table(document, "parameters")):
            with located(f"parameter {key}"):
                parameters[key] = parse_domain(table)
        groups = []
        for kind in KINDS:
            with located(f"[{kind}]"):
                groups += [parse_group(kind, table) for table in _tables(document, kind)]
        return Space(
            name=name,
            description=description,
            parameters=parameters,
            bits=tuple(groups),
            fixed=dict(_flat(_table(document, "fixed"))),
            points=tuple(_point(table) for table in _tables(document, "points")),
        )


def _table(document: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    table = document.get(key, {})
    if not isinstance(table, Mapping):
        raise UserError(f"{key} must be a table, not {table!r}")
    return table


def _tables(document: Mapping[str, Any], key: str) -> list[Any]:
    tables = document.get(key, [])
    return tables if isinstance(tables, list) else [tables]


def _point(table: object) -> Point:
    if not isinstance(table, Mapping):
        raise UserError(f"a [[points]] entry must be a table of names and values, not {table!r}")
    return dict(_flat(table))


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield names and values; the nested tables of bit-widths, w_bits = { conv1 = 2 }, as "w_bits.conv1"."""
    for key, value in table.items():
        name = prefix + key
        if is_width(name) and isinstance(value, Mapping) and "type" not in value:
            yield from _flat(value, f"{name}.")
        else:
            yield name, value
