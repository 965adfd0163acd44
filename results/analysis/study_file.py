"""Reading `study.toml`: what was asked of a study."""

import math
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from study_common import digests, layout
from study_common.documents import parse_toml
from study_common.errors import UserError
from study_common.files import read_text
from study_common.validation import check


class Pair(TypedDict):
    """The table of an objective in `study.toml`."""

    direction: str
    ideal: float
    reference: float


class Document(TypedDict):
    """What of `study.toml` is read here."""

    format: int
    name: str
    objectives: dict[str, Pair]
    constraints: dict[str, float]
    target: NotRequired[str]
    created: NotRequired[str]
    command: NotRequired[str]
    git_commit: NotRequired[str]
    request: NotRequired[dict[str, Any]]
    fixed: NotRequired[dict[str, Any]]
    data: NotRequired[dict[str, Any]]
    versions: NotRequired[dict[str, Any]]


def read_study_file(file: Path) -> dict[str, Any]:
    """Return the document of `study.toml`, its types checked.

    Raises:
        UserError: There is none, or it is damaged, altered or of another version.
    """
    if not file.is_file():
        raise UserError(f"{file.parent} is not a study: it has no {file.name}; give a study's directory")
    try:
        request = parse_toml(read_text(file))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); copy the study again") from None
    if request.get("format", layout.FORMAT) != layout.FORMAT:
        raise UserError(
            f"{file} has format {request['format']!r} and this version reads {layout.FORMAT}; "
            "use the version of sgt-pact-study that its [versions] table names"
        )
    if missing := Document.__required_keys__ - request.keys():
        raise UserError(f"{file} lacks {', '.join(sorted(missing))}; copy the study again")
    check(request, Document, str(file))
    for name, pair in request["objectives"].items():
        bounds = pair["ideal"], pair["reference"]
        if (
            pair["direction"] not in ("max", "min")
            or not all(map(math.isfinite, bounds))
            or len({*bounds}) < 2
        ):
            raise UserError(
                f"{file} has no valid direction, ideal and reference of {name}; copy the study again"
            )
        if pair.keys() != Pair.__required_keys__:
            raise UserError(f"{file} says more of {name} than this version knows; copy the study again")
    digests.check_frozen(file)
    return request
