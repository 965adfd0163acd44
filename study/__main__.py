"""The console script `sgt-pact`: every command by its short name, such as `sgt-pact launch --space mixed_bits`.

`python -m study launch ...` is the same. Unlike `python -m study.launch`, the console script does not put the working
directory on Python's path, so that a file of your own, such as `results.py`, cannot take the place of a package.
"""

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version

from study_common.commands import tell
from study_common.errors import UserError, unknown

COMMANDS = {
    "launch": ("study", "start a study"),
    "resume": ("study", "continue a study"),
    "status": ("study", "how studies stand"),
    "confirm": ("study", "retrain members of a front with fresh seeds and measure them on the test split"),
    "simulate": ("study", "replay a recorded study with other workers, samplers and schedulers"),
    "serve": ("study", "serve studies to browsers: list, start, watch, stop, compare"),
    "report": ("results", "write table, front and report of a study"),
    "front": ("results", "print the front of a study"),
    "select": ("results", "choose a trial under bounds"),
    "compare": ("results", "compare studies, or a study with the papers"),
    "inspect": ("trainables", "what would be quantised, folded, exported and explained of a model"),
    "train": ("trainables", "one training run"),
    "evaluate": ("trainables", "measure a checkpoint again, or on an outside test set"),
    "predict": ("trainables", "classify images with a checkpoint"),
    "faithfulness": ("trainables", "examine the saliency maps of a checkpoint"),
    "export": ("trainables", "write a checkpoint for a device"),
    "latency": ("trainables", "time exported models"),
    "cache": ("trainables", "list or remove the decoded images that are kept"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that `argv` names and return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0 if words else 2
    if words[0] == "--version":
        print(f"sgt-pact {_version()}")
        return 0
    try:
        package = _package(words[0])
    except UserError as error:
        tell(f"{error}; see sgt-pact --help")
        return 2
    return int(import_module(f"{package}.{words[0]}").main(words[1:]))


def _version() -> str:
    try:
        return version("sgt-pact-study")
    except PackageNotFoundError:
        return "of a checkout that is not installed"


def _package(command: str) -> str:
    if command not in COMMANDS:
        raise unknown("command", command, COMMANDS)
    return COMMANDS[command][0]


def _overview() -> str:
    lines = [f"  {name:<14}{what}" for name, (_, what) in COMMANDS.items()]
    return "\n".join(
        ["usage: sgt-pact COMMAND [...]   (sgt-pact COMMAND --help says more)", "", *lines, "", "  --version"]
    )


if __name__ == "__main__":
    raise SystemExit(main())
