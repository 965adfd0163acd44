"""`python -m trainables.evaluate`: the validation metrics of a checkpoint again, or those on an outside test set."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from study_common.commands import Parser
from study_common.errors import UserError
from trainables.training import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Print the metrics as JSON; the exit code."""
    parser = Parser("trainables.evaluate", __doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint.safetensors, wherever it was copied to")
    parser.add_argument(
        "--data-dir", default="", metavar="DIR",
        help="where its images are now, or an outside test set: other images of the same classes",
    )  # fmt: skip
    parser.add_argument(
        "--labels",
        default="",
        metavar="FILE.csv",
        help="paths and classes of the images of an outside test set",
    )
    parser.add_argument("--masks", default="", metavar="DIR", help="where the masks of its images are now")
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> Mapping[str, Any]:
    """Measure what the run measured: equal to the recorded metrics, bit for bit, on the CPU that trained it.

    Images that the run did not know are an outside test set, and the metrics say so.
    """
    from trainables.training.evaluation import validation_metrics
    from trainables.training.outside_set import outside_metrics

    if arguments.labels and not arguments.data_dir:
        raise UserError("--labels is of an outside test set; give its folder with --data-dir")
    if arguments.data_dir:
        found = outside_metrics(arguments.checkpoint, arguments.data_dir, arguments.labels)
        if found:
            print(
                f"an outside test set: {found['images']} images in {arguments.data_dir}; {_known(found['left_out'])}"
            )
            return found
    return validation_metrics(arguments.checkpoint, arguments.data_dir, arguments.masks)


def _known(left_out: int | None) -> str:
    if left_out is None:
        return (
            "the run's images are not where they were, so nobody knows whether some of these are among them"
        )
    return f"{left_out} more are images of the run and left out" if left_out else "the run had none of them"


if __name__ == "__main__":
    raise SystemExit(main())
