"""Files of tensors that are whole or refused: written beside and renamed, with a digest of their content inside."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

CHECKPOINT = "checkpoint.safetensors"
"""The model alone, with its configuration and metrics: what evaluation and export read."""
RESUME = "resume.safetensors"
"""Model and optimiser: what a resume reads. The generation before it is kept beside it."""
PREVIOUS = "resume.previous.safetensors"


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a JSON object to `path`; a crash at any moment leaves the old file or the new one."""
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    about = {**about, "digest": _digest(tensors)}
    with replacing(path) as part, part.open("wb") as file:
        file.write(save(tensors, {"about": json.dumps(about)}))
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a neighbour of `path` to write to, which then takes its place: no reader sees half a file."""
    part = path.with_name(path.name + ".part")
    yield part
    part.replace(path)


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read back the tensors and the JSON object of `write`.

    Raises ValueError, in one line, for a file that is missing, cut short, altered or not ours.
    """
    if not path.is_file():
        raise ValueError(f"no checkpoint at {path}; a trial's is trials/<number>/{CHECKPOINT} of its study")
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})["about"])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise ValueError(f"{path} is no whole checkpoint of ours ({error}); copy or train it again") from None
    if _digest(tensors) != about.pop("digest", None):
        raise ValueError(f"{path} was altered since it was written; copy or train it again")
    return tensors, about


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().flatten().view(dtype=torch.uint8).numpy().data)
    return digest.hexdigest()
