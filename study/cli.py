"""How the values of flags are typed, and a command line as it is kept."""

import re
import shlex
import sys
import tomllib
from collections.abc import Sequence
from typing import Any


def command(module: str, argv: Sequence[str] | None) -> str:
    """Return the command line as a user would type it again, without the password of a storage URL."""
    words = list(sys.argv[1:] if argv is None else argv)
    return f"python -m {module} " + shlex.join(map(_public, words))


def _public(word: str) -> str:
    """Return `word`, if it is a URL without its password.

    >>> _public("postgresql://me:secret@db/studies"), _public("postgresql://me@db/studies?sslpassword=secret&sslmode=require")
    ('postgresql://me@db/studies', 'postgresql://me@db/studies?sslmode=require')
    """
    if "://" not in word:
        return word
    word = re.sub(r"(://[^:/@]*):[^@]*@", r"\1@", word)
    return re.sub(r"\w*password=[^&]*&?", "", word).rstrip("?&")


def duration(text: str) -> float:
    """Read a time budget in seconds.

    >>> duration("90"), duration("30m"), duration("1h30m")
    (90.0, 1800.0, 5400.0)
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d*)?)s?)?", text)
    if not text or not match:
        raise ValueError(f"{text!r} is no duration; write one such as 90s, 30m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


def setting(text: str) -> tuple[str, Any]:
    """Read a --set: a name and a value, which is a number, true, false or a string.

    >>> setting("bits.conv1=4"), setting("mask=threshold"), setting("stop_gradient=true")
    (('bits.conv1', 4), ('mask', 'threshold'), ('stop_gradient', True))
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise ValueError(f"--set {text!r} is not of the form key=value")
    try:
        return name, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name, value
