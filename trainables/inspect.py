"""`python -m trainables.inspect`: what of a model would be quantised, folded, exported and explained."""

import argparse
from collections.abc import Sequence
from typing import Any

from study_common.commands import Parser
from study_common.errors import UserError
from trainables.choices import MODEL_FORMS
from trainables.training import command_line

NUMBERS = {
    "channels": (3, 3, "of the images, 1 or 3"),
    "size": (64, 1024, "their height and width in pixels"),
    "classes": (10, 10_000, "how many"),
}
"""Options, with their defaults, the most that is built, and what they are."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the checklist, then its sums as JSON; the exit code, 2 for a model that cannot be trained."""
    parser = Parser("trainables.inspect", __doc__)
    parser.add_argument("--model", required=True, help=", ".join(MODEL_FORMS))
    for name, (default, _, what) in NUMBERS.items():
        parser.add_argument(
            f"--{name}",
            type=command_line.positive,
            default=default,
            metavar="N",
            help=f"{what} (default: {default})",
        )
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Inspect the model; the sums."""
    for name, (_, most, _) in NUMBERS.items():
        if (given := getattr(arguments, name)) > most:
            raise UserError(f"--{name} is {given}; it must be at most {most}")
    from trainables.deployment.checklist import inspect_model

    found = inspect_model(arguments.model, arguments.channels, arguments.size, arguments.classes)
    print("\n".join(found.lines()))
    return found.sums()


if __name__ == "__main__":
    raise SystemExit(main())
