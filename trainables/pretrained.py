"""Pretrained weights: torchvision's own, by their name or from a file, before a model's quantisers are put in."""

from pathlib import Path
from pickle import UnpicklingError

import safetensors.torch
import torch
import torchvision
from safetensors import SafetensorError
from torch import Tensor, nn

from trainables.models import quantisable


def load_pretrained(model: nn.Module, name: str, given: str) -> None:
    """Copy pretrained weights into a float model of torchvision called `name`, in place.

    `given` is one of torchvision's names for them, which are fetched once into PyTorch's own cache, or the path of a
    .pth or .safetensors file with such a state dict. A classifier of another number of classes stays as it was drawn.
    ValueError, in one line, for what cannot be fetched or read and for the first tensor that is missing, too many, of
    another shape or not finite.
    """
    tensors = _fetch(name, given) if given in published(name) else _read(Path(given), published(name))
    own = model.state_dict()
    head = list(quantisable(model))[-1]
    for key in (f"{head}.weight", f"{head}.bias"):
        found = tensors.get(key, own[key])
        if found.shape[1:] == own[key].shape[1:] and len(found) != len(own[key]):
            tensors[key] = own[key]
    for key in own:
        if key.endswith("num_batches_tracked"):  # files from before PyTorch 0.4.1 have none
            tensors.setdefault(key, own[key])
    for key in [*own, *tensors]:
        if wrong := _misfit(tensors.get(key), own.get(key)):
            raise ValueError(
                f"{given} does not fit the model: {key} {wrong}; give a state dict of torchvision's model of that name"
            )
    model.load_state_dict(tensors)


def published(name: str) -> tuple[str, ...]:
    """The names of the weights that torchvision publishes for its model `name`.

    >>> published("resnet18")
    ('IMAGENET1K_V1', 'DEFAULT')
    """
    return tuple(torchvision.models.get_model_weights(name).__members__)


def _misfit(given: Tensor | None, own: Tensor | None) -> str:
    if given is None:
        return "is missing"
    if own is None:
        return "is no tensor of the model"
    if given.shape != own.shape:
        return f"is of shape {tuple(given.shape)} and should be {tuple(own.shape)}"
    return "" if given.isfinite().all() else "is not finite"


def _fetch(name: str, given: str) -> dict[str, Tensor]:
    weights = torchvision.models.get_model_weights(name)[given]
    try:
        return dict(
            weights.get_state_dict(map_location="cpu", weights_only=True, check_hash=True, progress=False)
        )
    except (OSError, EOFError, RuntimeError, UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"the weights {given} of {name} cannot be had ({reason}); bring {weights.url} here and give that file"
        ) from None


def _read(path: Path, names: tuple[str, ...]) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, SafetensorError, UnpicklingError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"the pretrained weights {path} cannot be read ({reason}); give a file, or torchvision's {names[0]}"
        ) from None
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise ValueError(
            f"{path} is no state dict, names with tensors; save model.state_dict() alone and give that"
        )
    return dict(found)
