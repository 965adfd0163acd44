"""What the commands of `trainables` share: settings and folders as typed, and one line of JSON at the end.

A command parses first and imports torch in `run`, so that `--help` and bad arguments are answered at once.
"""

import argparse
import json
import os
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from study_common.commands import exit_code
from study_common.errors import NonFiniteError, UserError, cannot_use
from trainables.choices import CHOICES, MODEL_FORMS
from trainables.training.config import Config, preset, presets


def run(command: Callable[[argparse.Namespace], Mapping[str, Any]], parser: argparse.ArgumentParser,
        argv: Sequence[str] | None) -> int:  # fmt: skip
    """Parse, run `command` in a prepared process, and print its metrics as the last line; the exit code."""
    arguments = parser.parse_args(argv)

    def measure() -> None:
        from trainables.training.process import prepare_process

        prepare_process()
        try:
            metrics = command(arguments)
        except NonFiniteError as error:
            raise UserError(str(error)) from None
        except OSError as error:
            raise cannot_use(error) from None
        print(json.dumps(dict(metrics)))

    return exit_code(measure)


def folder(text: str) -> Path:
    """Accept the path of a folder to write into, which need not exist yet."""
    path = Path(text)
    existing = next(place for place in (path, *path.parents) if os.path.exists(place))  # never raises
    if not existing.is_dir():
        raise argparse.ArgumentTypeError(f"{existing} is a file; name a folder")
    return path


def file(text: str) -> Path:
    """Accept the path of a file to write, whose folder need not exist yet."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{path} is a folder; name a file")
    folder(str(path.parent))
    return path


def setting(text: str) -> tuple[str, str]:
    """Split one `key=value`."""
    key, equals, value = text.partition("=")
    if not (key and equals and value):
        raise argparse.ArgumentTypeError(f"{text!r} is not key=value")
    return key, value


def positive(text: str) -> int:
    """Accept a whole number above 0, of at most 18 digits."""
    if not text.isdecimal() or len(text) > 18 or int(text) == 0:
        shown = text if len(text) <= 20 else f"{text[:20]}..."
        raise argparse.ArgumentTypeError(f"{shown!r} is not a whole number above 0")
    return int(text)


def settings_help() -> str:
    """Every setting with its default and, where the values are listed, its values; for `--help`."""
    valid = {**CHOICES, "model": MODEL_FORMS, "preset": presets()}
    defaults = {field.name: field.default for field in fields(Config)} | preset(Config.preset)["run"]
    lines = [f"settings, with their defaults under the preset {Config.preset}:"]
    for name in Config.names():
        value = defaults[name]
        line = f"{name}={','.join(map(str, value)) if isinstance(value, tuple) else value}"
        if name in valid:
            line = f"{line:32} one of {', '.join(valid[name])}"
        lines += textwrap.wrap(line, 110, initial_indent="  ", subsequent_indent=" " * 34)
    lines.append("  bits, bits.LAYER, w_bits.LAYER, a_bits.LAYER: 2, 3, 4, 6, 8 or 32, and 32 is float32")
    return "\n".join(lines)
