"""Export a checkpoint: a folder with the model in the formats that devices run, and a card that describes it."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import search_spaces
from study_common.commands import Parser, needs
from study_common.errors import check_known
from trainables.deployment.formats import DEFAULT, FILES
from trainables.training import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Write the folder, print its files, then the recorded metrics and all sizes as JSON; the exit code."""
    parser = Parser("trainables.export", __doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint.safetensors")
    parser.add_argument("--out", type=command_line.folder, required=True, help="a folder, new or empty")
    parser.add_argument(
        "--format", action="append", choices=FILES, dest="formats",
        help=f"what to write; may be repeated (default: those of the target, or {' and '.join(DEFAULT)})",
    )  # fmt: skip
    parser.add_argument(
        "--target", metavar="NAME|FILE", default="",
        help=f"refuse what this device does not take: {', '.join(search_spaces.target_names())}, or a .toml file",
    )  # fmt: skip
    parser.add_argument("--data-dir", default="", metavar="DIR", help="where its images are now")
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Export, and print what was written and what stays float."""
    target = search_spaces.load_target(arguments.target) if arguments.target else None
    formats = arguments.formats or list((target and target.formats) or DEFAULT)
    check_known("format", formats, FILES)
    if set(formats) - {"packed"}:
        needs("onnx", extra="export")
        needs("onnxruntime", extra="export")
    from trainables.deployment.folder import export

    made = export(arguments.checkpoint, arguments.out, formats, data_dir=arguments.data_dir, target=target)
    for path in made.files:
        print(path)
    for layer, reason in made.float_layers.items():
        print(f"{layer} is computed in float: {reason}")
    return made.metrics


if __name__ == "__main__":
    raise SystemExit(main())
