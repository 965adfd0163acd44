"""Read a model.packed with numpy alone, and run the paper's CNN on one image: python read_packed.py model.packed.

The format is described in docs/packed_format.md.
"""

import json
import math
import sys
from pathlib import Path

import numpy as np


def read(path: str | Path) -> tuple[dict, dict[str, np.ndarray]]:
    """Return the header and the tensors by name, quantised weights as the floats that the model multiplies with."""
    line, _, body = Path(path).read_bytes().partition(b"\n")
    header, tensors = json.loads(line), {}
    for entry in header["tensors"]:
        bits, count = entry["bits"], math.prod(entry["shape"])
        length = -(-count * bits // 8)
        blob, body = body[:length], body[length:]
        if bits == 32:
            values = np.frombuffer(blob, "<f4")
        else:
            string = np.unpackbits(np.frombuffer(blob, np.uint8), bitorder="little")[: count * bits]
            values = string.reshape(count, bits) @ (1 << np.arange(bits))
        tensors[entry["name"]] = values.reshape(entry["shape"])
    for entry in header["tensors"]:
        if entry["bits"] < 32:
            name = entry["name"]
            zero = entry.get("zero", tensors.get(f"{name}.zero"))
            tensors[name] = ((tensors[name] - zero) * tensors[f"{name}.step"]).astype(np.float32)
    return header, tensors


def quantised(x: np.ndarray, layer: str, header: dict, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Bring the input of a layer to its levels: clip at alpha, round halves to even."""
    bits = header["config"].get(f"a_bits.{layer}", 32)
    if bits == 32:
        return x
    alpha, zero = (
        tensors[f"{layer}.input_quantiser.alpha"],
        header["zero_points"].get(f"{layer}.input_quantiser", 0),
    )
    step = alpha / (2**bits - 1 - zero)
    return np.round(np.clip(x, -zero * step, alpha) / step) * step


def paper_cnn(pixels: np.ndarray, header: dict, tensors: dict[str, np.ndarray]) -> np.ndarray:
    """Return the logits of one image, uint8 (channels, height, width)."""
    mean, std = (np.reshape(header[name], (-1, 1, 1)) for name in ("mean", "std"))
    x = (pixels / 255 - mean) / std
    for layer in ("conv1", "conv2"):
        x = x if layer == "conv1" else quantised(x, layer, header, tensors)
        patches = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(1, 2))
        x = np.einsum("chwij,ocij->ohw", patches, tensors[f"{layer}.weight"])
        x = np.maximum(x + tensors[f"{layer}.bias"].reshape(-1, 1, 1), 0)
    height, width = (size // 2 for size in x.shape[1:])
    x = x[:, : 2 * height, : 2 * width].reshape(-1, height, 2, width, 2).max((2, 4))
    x = x.transpose(1, 2, 0).ravel()  # channels last
    x = np.maximum(tensors["fc1.weight"] @ quantised(x, "fc1", header, tensors) + tensors["fc1.bias"], 0)
    return tensors["fc2.weight"] @ quantised(x, "fc2", header, tensors) + tensors["fc2.bias"]


if __name__ == "__main__":
    header, tensors = read(sys.argv[1])
    for name, tensor in tensors.items():
        print(name, tensor.shape)
    channels, size, _ = header["signature"]
    if header["config"]["model"] == "paper_cnn":
        logits = paper_cnn(np.zeros((channels, size, size)), header, tensors)
        print("a black image is", header["class_names"][int(logits.argmax())])
