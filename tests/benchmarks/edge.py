"""Exported models beside the trained ones and beside ONNX Runtime's `quantize_static`: same classes, size, latency.

    python -m tests.benchmarks.edge [--quick] [--json FILE] [--models DIR] [--train-only] [--networks A,B]

It trains what it exports: the CNN of paper B on Fashion-MNIST at four settings of widths, and torchvision's networks on
class folders of the same images in colour at 64 pixels, at 8 and 4 bits, all from float models of the same run. Images
for testing are those of Fashion-MNIST, all 10,000 for the CNN. `quantize_static` gets the float models and 128 training
images; its classes are compared with those of the float model. What is trained is kept in --models and used again, so
that the latencies can be measured alone on the machine.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from torch import nn

from tests.benchmarks.edge_latency import WIDE, at_width, quantised_by_peer, ratios, timed
from tests.benchmarks.edge_models import FULL, NETWORKS, QUICK, train_all
from trainables.deployment import folder as exporting
from trainables.deployment import parity, qonnx_graph, runtime
from trainables.deployment.formats import FILES
from trainables.deployment.timing import processor
from trainables.training.inputs import data_of, test_split_of
from trainables.training.network import load_checkpoint
from trainables.training.process import prepare_process

CALIBRATION = 128
FEW = 256
"""So many images are compared by their logits: with the QONNX graph, and with the model in double precision."""
Row = dict[str, float]


def main() -> None:
    """Train, export, compare and time; print the tables and the figures."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.edge", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="short trainings, fewer test images")
    parser.add_argument("--models", type=Path, help="keep what is trained here (default: nowhere)")
    parser.add_argument(
        "--networks",
        default=",".join(NETWORKS),
        help="some of torchvision's, or '' for none (default: %(default)s)",
    )
    parser.add_argument("--train-only", action="store_true", help="stop after the training")
    arguments = parser.parse_args()
    prepare_process()
    with tempfile.TemporaryDirectory() as temporary:
        place = (arguments.models or Path(temporary)).resolve()
        began = time.perf_counter()
        networks = tuple(filter(None, arguments.networks.split(",")))
        checkpoints = train_all(place, QUICK if arguments.quick else FULL, networks)
        print(f"trained in {time.perf_counter() - began:.0f} s, {time.process_time():.0f} s of CPU")
        if arguments.train_only:
            return
        files = Path(temporary) / "files"
        rows = {
            name: row for model, found in checkpoints.items() for name, row in compared(model, found, files)
        }
        if "resnet18" in checkpoints:
            at_width(checkpoints["resnet18"], files / f"resnet18_{WIDE}")
        rows |= timed(files)
        print(
            f"all in {time.perf_counter() - began:.0f} s, {time.process_time():.0f} s of CPU, on {processor()}"
        )
    figures = summary(rows)
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def summary(rows: dict[str, Row]) -> dict[str, float]:
    """The figures that are asked for, ours and those of quantize_static."""
    figures: dict[str, float] = {}
    for prefix, theirs in (("", False), ("quantize_static_", True)):
        mine = [row for name, row in rows.items() if "agreement" in row and name.endswith("peer") == theirs]
        figures[f"{prefix}agreement_min"] = min(row["agreement"] for row in mine)
        figures[f"{prefix}accuracy_gap_max"] = max(abs(row["gap"]) for row in mine)
        small = rows["paper_cnn peer" if theirs else "paper_cnn all-2 lowbit"]
        figures[f"{prefix}size_ratio_all2"] = rows["paper_cnn float"]["bytes"] / small["bytes"]
    for kind in ("qonnx", "in double"):
        within = [row["within"] for name, row in rows.items() if name.endswith(kind)]
        figures[f"{kind.replace(' ', '_')}_within_1e-4_min"] = min(within)
    figures["in_double_agreement_min"] = min(row["double"] for row in rows.values() if "double" in row)
    return figures | ratios(rows)


# Parity and size.


def compared(model: str, checkpoints: dict[str, Path], files: Path) -> Iterator[tuple[str, Row]]:
    """Export each checkpoint of a model; how its graphs, and the peer's, answer the test images."""
    print()
    reference: dict[str, tuple[np.ndarray, Row]] = {}
    for width, checkpoint in checkpoints.items():
        network, config, about = load_checkpoint(checkpoint)
        split = test_split_of(config)
        images, labels = split.images.numpy(), split.labels.numpy()
        expected = exporting.logits(network, images, about)
        out = files / model / width
        formats = ["onnx"] if width == "float" else ["onnx", "lowbit", "qonnx"]
        made = exporting.export(checkpoint, out, formats)
        reference[width] = (expected, {"size_bytes": about["metrics"]["size_bytes"]})
        for name in formats:
            file = out / FILES[name]
            label = f"{model} {width}" + {"onnx": "", "lowbit": " lowbit", "qonnx": " qonnx"}[name]
            if name == "qonnx":
                yield told(label, in_qonnx(file, images[:FEW], expected[:FEW]))
                continue
            yield told(label, answers(file, images, expected, labels))
        if width != "float":
            print(f"  body of the packed file {about['metrics']['size_bytes']:,}; float layers: "
                  f"{len(made.float_layers)}")  # fmt: skip
            yield told(f"{model} {width} in double", in_double(network, images, expected, about))
    peer = files / model / "peer.onnx"
    network, config, about = load_checkpoint(checkpoints["float"])
    quantised_by_peer(
        files / model / "float" / "model.onnx", peer, data_of(config).train.images[:CALIBRATION].numpy()
    )
    yield told(f"{model} peer", answers(peer, images, reference["float"][0], labels))


def told(name: str, row: Row) -> tuple[str, Row]:
    """Print a row and return it."""
    print(f"{name:34} " + "  ".join(f"{key} {value:,.6g}" for key, value in row.items()), flush=True)
    return name, row


def answers(file: Path, images: np.ndarray, expected: np.ndarray, labels: np.ndarray) -> Row:
    """What the graph in a file answers, beside the logits of its model."""
    found = runtime.logits(runtime.session(file.read_bytes()), images)
    return {"bytes": file.stat().st_size} | beside(found, expected, labels)


def in_qonnx(file: Path, images: np.ndarray, expected: np.ndarray) -> Row:
    """The logits of a QONNX graph, one image at a time, in the standard operations that its nodes stand for."""
    graph = qonnx_graph.plain(onnx.load(file)).SerializeToString()
    found = runtime.logits(runtime.session(graph), images.astype(np.float32))
    return {"bytes": file.stat().st_size} | apart(found, expected)


def in_double(network: nn.Module, images: np.ndarray, expected: np.ndarray, about: dict) -> Row:
    """The same PyTorch model in double precision: as far as rounding alone moves it."""
    found = exporting.logits(network.double(), images, about).astype(np.float32)
    return {"double": parity.compare(expected, found).same_class} | apart(found[:FEW], expected[:FEW])


def apart(found: np.ndarray, expected: np.ndarray) -> Row:
    """How far logits are from those expected."""
    largest = np.abs(found - expected).max(1)
    return {"within": float((largest < 1e-4).mean()), "largest": float(largest.max())}


def beside(found: np.ndarray, expected: np.ndarray, labels: np.ndarray) -> Row:
    same = parity.compare(expected, found)
    right, wanted = ((each.argmax(1) == labels).mean() for each in (found, expected))
    return {
        "agreement": same.same_class,
        "accuracy": float(right),
        "gap": float(right - wanted),
        "error": same.error,
    }


if __name__ == "__main__":
    main()
