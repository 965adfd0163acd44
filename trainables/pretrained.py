"""Pretrained weights: a file of torchvision's own tensor names, read into a model before its quantisers are put in."""

from pathlib import Path
from pickle import UnpicklingError

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from trainables.models import quantisable


def load_pretrained(model: nn.Module, path: Path) -> None:
    """Copy the state dict of a .pth or .safetensors file into a float model, in place.

    A classifier of another number of classes stays as it was drawn. ValueError, in one line, for a file that cannot be
    read and for the first tensor that is missing, too many, of another shape or not finite.
    """
    tensors, own = _read(path), model.state_dict()
    head = list(quantisable(model))[-1]
    for name in (f"{head}.weight", f"{head}.bias"):
        given = tensors.get(name, own[name])
        if given.shape[1:] == own[name].shape[1:] and len(given) != len(own[name]):
            tensors[name] = own[name]
    for name in own:
        if name.endswith("num_batches_tracked"):  # files from before PyTorch 0.4.1 have none
            tensors.setdefault(name, own[name])
    for name in [*own, *tensors]:
        if wrong := _misfit(tensors.get(name), own.get(name)):
            raise ValueError(
                f"{path} does not fit the model: {name} {wrong}; give a state dict of torchvision's model of that name"
            )
    model.load_state_dict(tensors)


def _misfit(given: Tensor | None, own: Tensor | None) -> str:
    if given is None:
        return "is missing"
    if own is None:
        return "is no tensor of the model"
    if given.shape != own.shape:
        return f"is of shape {tuple(given.shape)} and should be {tuple(own.shape)}"
    return "" if given.isfinite().all() else "is not finite"


def _read(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, SafetensorError, UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f"the pretrained weights {path} cannot be read ({reason})") from None
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise ValueError(
            f"{path} is no state dict, names with tensors; save model.state_dict() alone and give that"
        )
    return dict(found)
