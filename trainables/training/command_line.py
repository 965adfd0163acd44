"""What the commands of this room share: settings and folders as they are typed, one line of JSON at the end."""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from study_common.commands import exit_code
from study_common.errors import NonFiniteError, UserError
from trainables.training.process import prepare_process


def run(command: Callable[[argparse.Namespace], Mapping[str, float]], parser: argparse.ArgumentParser,
        argv: Sequence[str] | None) -> int:  # fmt: skip
    """Parse, run in a prepared process, and print the metrics as the last line; 2 for an error the user can mend."""
    arguments = parser.parse_args(argv)
    prepare_process()

    def measure() -> None:
        try:
            metrics = command(arguments)
        except NonFiniteError as error:
            raise UserError(str(error)) from None
        except OSError as error:
            what = f"cannot use {error.filename or 'the disk'}: {error.strerror or error}"
            raise UserError(f"{what}; make room or choose another path") from None
        print(json.dumps(dict(metrics)))

    return exit_code(measure)


def folder(text: str) -> Path:
    """Take the path of a folder to write into, which need not exist yet."""
    path = Path(text)
    there = next(place for place in (path, *path.parents) if place.exists())
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{there} is a file; name a folder")
    return path


def setting(text: str) -> tuple[str, str]:
    """Split one `key=value`."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value
