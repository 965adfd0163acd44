"""How long one image takes: float, int8 and low-bit models, and those of ONNX Runtime's `quantize_static`, in turns.

    python -m tests.benchmarks.edge_latency [--json FILE]

On one thread. The networks are those of `edge` with random weights, on which the time does not depend: two minutes.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from torch import nn

from tests.benchmarks.edge_models import SIDE
from tests.trainables.deployment.conftest import make
from trainables.deployment import qdq
from trainables.deployment.operations import Operation
from trainables.deployment.structure import operations
from trainables.deployment.timing import processor, time_models
from trainables.training.inputs import data_of
from trainables.training.network import load_checkpoint
from trainables.training.process import prepare_process

WIDE = 224
NAMES = ("paper_cnn", f"resnet18_{SIDE}", f"resnet18_{WIDE}")
Row = dict[str, float]


def main() -> None:
    """Time networks of random weights and print the ratios."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.edge_latency", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the ratios here")
    arguments = parser.parse_args()
    prepare_process()
    with tempfile.TemporaryDirectory() as temporary:
        untrained(Path(temporary))
        figures = ratios(timed(Path(temporary)))
    print(f"on {processor()}")
    print(json.dumps(figures, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def ratios(rows: dict[str, Row]) -> dict[str, float]:
    """The median time of int8 over that of float, ours and that of quantize_static, of what was timed."""
    return {
        f"{prefix}latency_ratio_{name}": rows[f"latency {name}"][kind] / rows[f"latency {name}"]["float"]
        for prefix, kind in (("", "int8"), ("quantize_static_", "peer"))
        for name in NAMES
        if f"latency {name}" in rows
    }


class Reader(CalibrationDataReader):
    """Calibration images, 16 at a time."""

    def __init__(self, images: np.ndarray) -> None:
        self.chunks = iter(np.array_split(images, max(1, len(images) // 16)))

    def get_next(self) -> dict[str, np.ndarray] | None:
        chunk = next(self.chunks, None)
        return None if chunk is None else {"image": chunk}


def quantised_by_peer(source: Path, target: Path, images: np.ndarray) -> None:
    """Quantise a float graph with ONNX Runtime's own tool, per channel, the normalisation left as it is."""
    quantize_static(
        str(source), str(target), Reader(images), per_channel=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8, nodes_to_exclude=["pixels", "centred", "normalised"],
    )  # fmt: skip


def timed(files: Path) -> dict[str, Row]:
    """The median time of one image in ms, float, int8, low-bit and the peer in turns on one thread."""
    rows: dict[str, Row] = {}
    for name, width, rounds in (
        ("paper_cnn", "all-8", 400),
        (f"resnet18_{SIDE}", "8", 200),
        (f"resnet18_{WIDE}", "8", 60),
    ):
        folder = files / name.removesuffix(f"_{SIDE}")
        if not folder.exists():
            continue
        paths = {kind: folder / kind / "model.onnx" for kind in ("float", width)} | {
            "peer": folder / "peer.onnx"
        }
        if name == "paper_cnn":
            paths |= {f"all-2 {kind}": folder / "all-2" / f"model.{kind}" for kind in ("onnx", "lowbit.onnx")}
        found = time_models(list(paths.values()), threads=1, rounds=rounds)
        print(f"\nlatency {name}")
        for kind, path in paths.items():
            one, base = found[str(path)], found[str(paths["float"])]
            print(
                f"{kind:18} p50 {one.p50_ms:.3f} ms  p95 {one.p95_ms:.3f}  fastest {one.fastest_ms:.3f}  "
                f"{one.images_per_s:,.0f} images/s  {one.peak_memory_bytes / 2**20:.0f} MiB  over float: "
                f"p50 {one.p50_ms / base.p50_ms:.2f}, fastest {one.fastest_ms / base.fastest_ms:.2f}", flush=True,
            )  # fmt: skip
        times = {kind: found[str(path)].p50_ms for kind, path in paths.items()}
        rows[f"latency {name}"] = times | {"int8": times[width]}
    return rows


def untrained(files: Path) -> None:
    """Write the models whose latency is measured with random weights, on which it does not depend."""
    for folder, model, side, widths in (
        ("paper_cnn", "paper_cnn", 28, {"float": 32, "all-8": 8, "all-2": 2}),
        ("resnet18", "resnet18", SIDE, {"float": 32, "8": 8}),
        (f"resnet18_{WIDE}", "resnet18", WIDE, {"float": 32, "8": 8}),
    ):
        for width, bits in widths.items():
            example = make(model, side, bits, bits, grey=model == "paper_cnn")
            written(example.network, example.mean, example.std, files / folder / width)
        quantised_by_peer(
            files / folder / "float" / "model.onnx", files / folder / "peer.onnx", example.images
        )


def written(network: list[Operation], mean: tuple[float, ...], std: tuple[float, ...], folder: Path) -> None:
    """Write both ONNX graphs of a network, without comparing them with it."""
    folder.mkdir(parents=True)
    for low_bit, name in ((False, "model.onnx"), (True, "model.lowbit.onnx")):
        graph = qdq.write(network, mean=mean, std=std, low_bit=low_bit, metadata={}).model
        (folder / name).write_bytes(graph.SerializeToString())


def at_width(checkpoints: dict[str, Path], folder: Path) -> None:
    """Write a network that takes images of any size for those of 224 pixels: float, 8 bits, and the peer's."""
    for width in ("float", "8"):
        network, config, about = load_checkpoint(checkpoints[width])
        channels, _, classes = about["signature"]
        listed = operations(network, (channels, WIDE, classes))
        written(listed, tuple(about["mean"]), tuple(about["std"]), folder / width)
    images = data_of(config).train.images[:16]
    large = nn.functional.interpolate(images.float(), size=(WIDE, WIDE)).byte().numpy()
    quantised_by_peer(folder / "float" / "model.onnx", folder / "peer.onnx", large)


if __name__ == "__main__":
    main()
