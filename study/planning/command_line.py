"""How the values of flags are typed, and a command line as it is kept."""

import re
import shlex
import sys
import tomllib
from collections.abc import Sequence
from typing import Any

from study.store.database import public
from study_common.errors import UserError


def command(module: str, argv: Sequence[str] | None, url: str = "") -> str:
    """Return the command line as a user would type it again, the storage `url` without its password.

    >>> command("study.launch", ["--storage", "postgresql://me:secret@db/studies"], "postgresql://me:secret@db/studies")
    'python -m study.launch --storage postgresql://me@db/studies'
    """
    words = sys.argv[1:] if argv is None else argv
    return shlex.join(["python", "-m", module, *(word.replace(url, public(url)) for word in words)])


def duration(text: str) -> float:
    """Read a time budget in seconds.

    >>> duration("90"), duration("30m"), duration("1h30m")
    (90.0, 1800.0, 5400.0)
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d*)?)s?)?", text)
    if not text or not match:
        raise UserError(f"{text!r} is no duration; write one such as 90s, 30m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def setting(text: str) -> tuple[str, Any]:
    """Read a --set: a name and a value, which is a number, true, false or a string.

    >>> setting("bits.conv1=4"), setting("mask=threshold"), setting("stop_gradient=true")
    (('bits.conv1', 4), ('mask', 'threshold'), ('stop_gradient', True))
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"--set {text!r} is not of the form key=value")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value
