"""`python -m trainables.export`: a checkpoint as one packed file, its weights at their widths."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from study_common import layout
from study_common.commands import Parser
from study_common.errors import UserError
from trainables.deployment import packed
from trainables.training import command_line
from trainables.training.network import load_checkpoint


def main(argv: Sequence[str] | None = None) -> int:
    """Write the file, print its path, then the recorded metrics and its size as JSON; the exit code."""
    parser = Parser("trainables.export", __doc__)
    parser.add_argument("checkpoint", type=Path, help="a checkpoint.safetensors")
    parser.add_argument("--out", type=command_line.folder, required=True, help="the folder for model.packed")
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, float]:
    """Pack the model, and read the file back to see that it holds the same weights."""
    model, config, about = load_checkpoint(arguments.checkpoint)
    metrics = about["metrics"]
    path = arguments.out / layout.PACKED_FILE
    if path.exists():
        raise UserError(f"{path} exists already; choose another --out")
    arguments.out.mkdir(parents=True, exist_ok=True)
    body = packed.write(path, model, config, about)
    assert body == metrics["size_bytes"], "the packed file is as large as the cost says"
    for name, tensor in packed.read(path).tensors.items():
        module, _, kind = name.rpartition(".")
        assert tensor.equal(getattr(model.get_submodule(module), kind)), f"{name} comes back as it was"
    print(path)
    return {**metrics, "header_bytes": path.stat().st_size - body}


if __name__ == "__main__":
    raise SystemExit(main())
