"""Measure exported ONNX models: time of one image, throughput, memory and size, in turns on this machine."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from study_common import layout
from study_common.commands import Parser, needs
from study_common.digests import sealed
from trainables.training import command_line


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line for each model, and everything as JSON, which is also kept beside the models; the exit code."""
    parser = Parser("trainables.latency", __doc__)
    parser.add_argument("models", nargs="+", type=Path, metavar="MODEL", help="a .onnx file")
    parser.add_argument(
        "--threads", type=command_line.positive, default=1, help="for one image (default: %(default)s)"
    )
    parser.add_argument(
        "--rounds",
        type=command_line.positive,
        default=200,
        help="images for each model (default: %(default)s)",
    )
    return command_line.run(run, parser, argv)


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """Time the models."""
    needs("onnxruntime", extra="export")
    from trainables.deployment.timing import processor, time_models

    found = time_models(arguments.models, threads=arguments.threads, rounds=arguments.rounds)
    for name, timing in found.items():
        print(
            f"{name}: {timing.p50_ms:.3f} ms (p95 {timing.p95_ms:.3f}, p99 {timing.p99_ms:.3f}), "
            f"{timing.images_per_s:,.0f} images/s, {timing.peak_memory_bytes / 2**20:,.0f} MiB, "
            f"{timing.file_bytes:,} bytes"
        )
    about = {"threads": arguments.threads, "processor": processor()}
    measured = {name: asdict(timing) | about for name, timing in found.items()}
    for folder in {path.parent for path in arguments.models}:
        beside = {path.name: measured[str(path)] for path in arguments.models if path.parent == folder}
        with sealed(folder / layout.LATENCY_FILE) as part:
            part.write_text(json.dumps(beside, indent=2))
    return measured


if __name__ == "__main__":
    raise SystemExit(main())
