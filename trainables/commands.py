"""What the commands of this room share: settings typed as key=value, one line for an error, one line of JSON."""

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence

from trainables.errors import NonFiniteError
from trainables.process import prepare_process


def run(command: Callable[[argparse.Namespace], Mapping[str, float]], parser: argparse.ArgumentParser,
        argv: Sequence[str] | None) -> int:  # fmt: skip
    """Parse, run in a prepared process, and print the metrics as the last line; 2 for an error the user can mend."""
    arguments = parser.parse_args(argv)
    prepare_process()
    try:
        metrics = command(arguments)
    except (ValueError, OSError, NonFiniteError) as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 2
    print(json.dumps(dict(metrics)))
    return 0


def setting(text: str) -> tuple[str, str]:
    """Split one `key=value`."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value
