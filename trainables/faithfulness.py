"""`python -m trainables.faithfulness`: whether the saliency maps of a checkpoint can be believed."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from study_common.commands import Parser
from trainables.training import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Examine and print the figures as JSON; the exit code."""
    parser = Parser("trainables.faithfulness", __doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint.safetensors, wherever it was copied to")
    parser.add_argument("--data-dir", default="", metavar="DIR", help="where its images are now")
    parser.add_argument("--reference", type=Path, help="a float model's checkpoint, to compare its maps with")
    parser.add_argument(
        "--out",
        type=command_line.folder,
        metavar="DIR",
        help="write faithfulness.json and the curves, removal.csv, here",
    )
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Examine what the arguments name; the figures."""
    from trainables.audit.audit import examine

    found = examine(arguments.checkpoint, reference=arguments.reference, data_dir=arguments.data_dir)
    if arguments.out:
        found.write(arguments.out)
    if not found.metrics["sanity_passed"]:
        print("the sanity check failed: the maps hardly change when the weights are drawn anew")
    return found.metrics


if __name__ == "__main__":
    raise SystemExit(main())
