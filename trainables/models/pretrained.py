"""Pretrained weights: torchvision's own, by their name or from a file, before a model's quantisers are put in."""

import re
import warnings
from http.client import HTTPException
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor, nn

from study_common.errors import UserError
from trainables.choices import TORCHVISION
from trainables.models.catalogue import quantisable


def load_pretrained(model: nn.Module, name: str, given: str) -> None:
    """Copy pretrained weights into a float model called `name`, in place.

    A classifier for another number of classes keeps its random weights.

    Args:
        model: The float model.
        name: As for `catalogue.build`.
        given: Torchvision's name of the weights, which are downloaded once into PyTorch's own cache, or the path of a
            .pth or .safetensors file with such a state dict.

    Raises:
        UserError: The weights cannot be downloaded or read, or a tensor is missing, superfluous, of another shape or
            type, or not finite; the message names the first one.
    """
    tensors = _read(_fetched(name, given) if given in published(name) else Path(given), published(name))
    tensors = _renamed(name, tensors)
    own = model.state_dict()
    head = [f"{list(quantisable(model))[-1]}.{kind}" for kind in ("weight", "bias")]
    weight = tensors.get(head[0], own[head[0]])
    if weight.shape[1:] == own[head[0]].shape[1:] and len(weight) != len(own[head[0]]):
        tensors |= {key: own[key] for key in head}
    for key in own:
        if key.endswith("num_batches_tracked"):  # files from before PyTorch 0.4.1 have none
            tensors.setdefault(key, own[key])
    origin = f"torchvision's {name}" if name in TORCHVISION else name
    for key in [*own, *tensors]:
        if wrong := _misfit(tensors.get(key), own.get(key)):
            raise UserError(f"{given} does not fit the model: {key} {wrong}; give a state dict of {origin}")
    model.load_state_dict(tensors)


def published(name: str) -> tuple[str, ...]:
    """Return the names of the weights that torchvision publishes for the model `name`, none if it is not its own.

    >>> published("resnet18")
    ('IMAGENET1K_V1', 'DEFAULT')
    """
    from torchvision import models

    if name not in TORCHVISION:
        return ()
    return tuple(models.get_model_weights(name).__members__)


def _renamed(name: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Bring published tensors to the model: DenseNet's have older names, GoogLeNet's include auxiliary classifiers."""
    if name == "densenet121":
        return {re.sub(r"\b(norm|conv)\.([12])\.", r"\1\2.", key): tensor for key, tensor in tensors.items()}
    if name == "googlenet":
        return {key: tensor for key, tensor in tensors.items() if not key.startswith("aux")}
    return tensors


def _misfit(given: Tensor | None, own: Tensor | None) -> str:
    if given is None:
        return "is missing"
    if own is None:
        return "is no tensor of the model"
    if given.shape != own.shape:
        return f"is of shape {tuple(given.shape)} and should be {tuple(own.shape)}"
    if given.layout != own.layout or given.device != own.device:
        return "is no plain tensor"
    if given.is_floating_point() != own.is_floating_point():
        return f"is of type {given.dtype} and should be {own.dtype}"
    return "" if given.isfinite().all() else "is not finite"


def _fetched(name: str, given: str) -> Path:
    """Return the file of weights that torchvision publishes, in PyTorch's own cache; download it first if needed."""
    from torchvision import models

    url = models.get_model_weights(name)[given].url
    path: Path = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not path.exists():
        digest = path.stem.rpartition("-")[2]
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), digest, progress=False)
        except (OSError, HTTPException, RuntimeError) as error:
            raise UserError(
                f"the weights {given} of {name} cannot be downloaded ({error}); "
                f"copy {url} to this machine and give that file"
            ) from None
    return path


def _read(path: Path, names: tuple[str, ...]) -> dict[str, Tensor]:
    try:
        if path.exists() and not path.is_file():  # a named pipe would block
            raise OSError("it is not a regular file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if path.suffix == ".safetensors":
                return safetensors.torch.load_file(path)
            found = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UserError(
            f"the pretrained weights {path} cannot be read ({error.strerror or error}); give a file"
            + (f", or torchvision's {names[0]}" if names else "")
        ) from None
    except Exception:  # torch.load raises exceptions of any type for a file of another kind
        found = None
    if not isinstance(found, dict) or not all(isinstance(tensor, Tensor) for tensor in found.values()):
        raise UserError(
            f"{path} is no state dict, names with tensors; save model.state_dict() alone and give that"
        )
    return dict(found)
