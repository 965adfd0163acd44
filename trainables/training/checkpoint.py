"""Files of tensors with a digest of their content: written atomically, and rejected unless they are intact."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from study_common import layout
from study_common.documents import parse_json
from study_common.errors import UserError
from study_common.files import replacing


def write(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and their description to a file; a crash at any moment leaves the old file or the new one.

    Args:
        path: The file, in a folder that exists.
        tensors: Tensors by name, of any shape and device.
        about: What JSON can hold, with names as keys, without the key "digest".
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in sorted(tensors.items())}
    about = {**about, "digest": _digest(tensors, about)}
    with replacing(path) as part, part.open("wb") as file:
        file.write(save(tensors, {"about": json.dumps(about)}))
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read a file of `write`.

    Args:
        path: The file.

    Returns:
        The tensors by name, on the CPU, and their description.

    Raises:
        UserError: The file is missing, cut short, altered, or was written by another program.
    """
    if not path.is_file():
        raise UserError(
            f"no checkpoint at {path}; a trial's is trials/<number>/{layout.CHECKPOINT_FILE} of its study"
        )
    try:
        with safe_open(path, "pt") as file:
            about = parse_json((file.metadata() or {})["about"])
            if not isinstance(about, dict):
                raise ValueError("its description is not a table")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise UserError(f"{path} is not a complete checkpoint ({error}); copy or train it again") from None
    expected = about.pop("digest", None)
    if _digest(tensors, about) != expected:
        raise UserError(f"{path} was altered since it was written; copy or train it again")
    return tensors, about


def digest_of_weights(path: Path) -> str:
    """Return what identifies the weights in a file of `write`, whenever and wherever they were trained.

    Raises:
        UserError: As `read`.
    """
    tensors, _ = read(path)
    return _digest(tensors, {})


def _digest(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.contiguous().flatten().view(dtype=torch.uint8).numpy().data)
    return digest.hexdigest()
