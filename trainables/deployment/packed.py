"""The packed file: weights at their widths, so that what is shipped is as small as `size_bytes` says.

A file is one line of JSON, the header, then the tensors that it lists, one behind the other: codes of `bits` each,
least significant bit first, every tensor padded to a whole byte; everything else float32, little-endian. A quantised
weight is (codes - zero) * step, bit for bit what the model multiplied with.

What it takes to run the network without its images is in the header: it reads (pixel / 255 - `mean`) / `std` of each
channel, and its logits are those of `class_names`, in this order.
"""

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from study_common.documents import parse_json
from study_common.errors import UserError
from study_common.files import replacing
from trainables.quantisation.folding import FoldedNorm
from trainables.quantisation.quantisers import Pact, quantiser_of
from trainables.training.config import Config
from trainables.training.inputs import DESCRIBED

MAX_HEADER_BYTES = 2**24
CHUNK = 2**17
"""Codes that are packed at a time, a multiple of 8: what is needed besides the tensor itself is a few megabytes."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """What a packed file holds."""

    header: dict[str, Any]
    """`config`, `signature` (channels, size, classes), `class_names`, `mean` and `std` of each channel in [0, 1], the
    `fingerprint` of the images, the `zero_points` of layer inputs that are ever negative, `tensors`."""
    tensors: dict[str, Tensor]
    """Float32 tensors by the model's names, quantised weights as `<layer>.weight`."""


def write(path: Path, model: nn.Module, config: Config, about: Mapping[str, Any]) -> int:
    """Write a model and what its checkpoint says `about` its images to `path`.

    Returns the number of bytes behind the header, which is `size_bytes`.
    """
    entries, blobs = [], []
    for entry, tensor in _parts(model):
        entries.append(entry | {"shape": list(tensor.shape)})
        blobs.append(pack(tensor, entry["bits"]))
    inputs = {name: m.zero_point for name, m in model.named_modules() if isinstance(m, Pact)}
    header = {
        "format": 1,
        "config": config.shareable(),
        **{name: about[name] for name in DESCRIBED},
        "zero_points": {name: zero for name, zero in inputs.items() if zero},
        "tensors": entries,
    }
    body = b"".join(blobs)
    header["digest"] = _digest(header, body)
    with replacing(path) as part:
        part.write_bytes(json.dumps(header).encode() + b"\n" + body)
    return len(body)


def read(path: Path) -> Packed:
    """Read a packed file.

    Raises:
        UserError: It is missing, cut short, altered or not ours.
    """
    try:
        if not path.is_file():  # a pipe would never end
            raise UserError("it is not a file")
        with path.open("rb") as file:
            line = file.readline(MAX_HEADER_BYTES)
            header = parse_json(line)
            lengths = [-(-math.prod(e["shape"]) * e["bits"] // 8) for e in header["tensors"]]
            if path.stat().st_size != len(line) + sum(lengths):
                raise UserError("it is cut short, or longer than its header says")
            body = file.read()
        if header.pop("digest", None) != _digest(header, body):
            raise UserError("it was altered since it was written")
        tensors: dict[str, Tensor] = {}
        rest = memoryview(body)
        for entry, length in zip(header["tensors"], lengths, strict=True):
            tensors[entry["name"]] = unpack(rest[:length], entry["shape"], entry["bits"])
            rest = rest[length:]
        for entry in header["tensors"]:
            if entry["bits"] < 32:
                _dequantise(tensors, entry)
    except (ValueError, KeyError, TypeError, OSError, OverflowError) as error:
        raise UserError(f"{path} is no packed model of ours ({error}); export it again") from None
    return Packed(header=header, tensors=tensors)


def _digest(header: Mapping[str, Any], body: bytes) -> str:
    """Return the SHA-256 of a header, without its digest, and of the tensors behind it."""
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + body).hexdigest()


def pack(tensor: Tensor, bits: int) -> bytes:
    """Integers in [0, 2^bits - 1] as a string of bits; float32 as it is at 32.

    >>> pack(torch.tensor([1, 2, 3, 0, 3]), 2).hex()
    '3903'
    """
    values = tensor.detach().cpu().contiguous().flatten().numpy()
    if bits == 32:
        return values.astype("<f4").tobytes()
    string = bytearray()
    for start in range(0, len(values), CHUNK):
        codes = np.zeros(-(-len(values[start : start + CHUNK]) // 8) * 8, np.uint8)
        codes[: len(values) - start] = values[start : start + CHUNK]
        words = np.zeros(len(codes) // 8, "<u8")  # eight codes are as many bytes as a code has bits
        for place, column in enumerate(codes.reshape(-1, 8).T):
            words |= column.astype("<u8") << np.uint64(place * bits)
        string += words.view(np.uint8).reshape(-1, 8)[:, :bits].tobytes()
    return bytes(string[: -(-len(values) * bits // 8)])


def unpack(blob: bytes | memoryview, shape: list[int], bits: int) -> Tensor:
    """The inverse of `pack`, as float32 of the given shape."""
    if bits == 32:
        return torch.from_numpy(np.frombuffer(blob, "<f4").astype(np.float32)).view(shape)
    values = np.empty(math.prod(shape), np.float32)
    for start in range(0, len(values), CHUNK):
        part = np.frombuffer(blob, np.uint8)[start * bits // 8 : (start + CHUNK) * bits // 8]
        groups = np.zeros(-(-len(part) // bits) * bits, np.uint8)
        groups[: len(part)] = part
        words = np.zeros((len(groups) // bits, 8), np.uint8)
        words[:, :bits] = groups.reshape(-1, bits)
        shifts = np.arange(8, dtype=np.uint64) * np.uint64(bits)
        codes = (words.view("<u8") >> shifts) & np.uint64(2**bits - 1)
        values[start : start + CHUNK] = codes.ravel()[: len(values) - start]
    return torch.from_numpy(values).view(shape)


def _parts(model: nn.Module) -> Iterator[tuple[dict[str, Any], Tensor]]:
    """Everything in the file: its header entry, without the shape, and the tensor of codes or floats."""
    for name, layer in model.named_modules():
        if not parametrize.is_parametrized(layer, "weight"):
            continue
        quantiser, w = quantiser_of(layer)
        q = quantiser.encode(w)
        implied = {"zero": q.zero} if isinstance(q.zero, float) else {}
        yield {"name": f"{name}.weight", "bits": quantiser.bits, **implied}, q.codes
        yield {"name": f"{name}.weight.step", "bits": 32}, q.step
        if isinstance(q.zero, Tensor):
            yield {"name": f"{name}.weight.zero", "bits": 32}, q.zero
    folded = {name: module for name, module in model.named_modules() if isinstance(module, FoldedNorm)}
    for name, norm in folded.items():
        yield {"name": f"{name}.shift", "bits": 32}, norm.shift
    for name, tensor in model.state_dict().items():
        if name.rpartition(".")[0] in folded:
            continue
        plain = ".parametrizations." not in name
        if plain and name != "epsilon" and tensor.is_floating_point():
            yield {"name": name, "bits": 32}, tensor


def _dequantise(tensors: dict[str, Tensor], entry: dict[str, Any]) -> None:
    """Turn the codes of one weight into the weight, dropping its step and zero."""
    name = entry["name"]
    zero = entry["zero"] if "zero" in entry else tensors.pop(f"{name}.zero")
    tensors[name].sub_(zero).mul_(tensors.pop(f"{name}.step"))
