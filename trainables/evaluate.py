"""`python -m trainables.evaluate`: the validation metrics of a checkpoint, measured again."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from study_common.commands import Parser
from trainables.training import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Print the metrics as JSON; the exit code."""
    parser = Parser("trainables.evaluate", __doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint.safetensors, wherever it was copied to")
    parser.add_argument("--data-dir", default="", metavar="DIR", help="where its images are now")
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Measure what the run measured: equal to the recorded metrics, bit for bit, on the CPU that trained it."""
    from trainables.training.evaluation import validation_metrics

    return validation_metrics(arguments.checkpoint, arguments.data_dir)


if __name__ == "__main__":
    raise SystemExit(main())
