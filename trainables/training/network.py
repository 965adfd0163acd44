"""A configuration's network: the model with its quantisers, made new, from a float checkpoint, or from its own."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from study_common import layout
from study_common.errors import ModelImportError, UserError
from study_common.files import real
from trainables.choices import is_own_model
from trainables.data import Data
from trainables.models import cost
from trainables.models.catalogue import build, layer_names
from trainables.models.pretrained import load_pretrained, published
from trainables.quantisation.quantisers import clipping_levels
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.description import check_finished
from trainables.training.inputs import data_of, signature
from trainables.training.sandwich import ANY_WIDTH, Sandwich, load_shared


def layers(config: Config) -> tuple[str, ...]:
    """The names of the quantisable layers of the configuration's model, in order."""
    return layer_names(config.model)


def costs(config: Config, of: Sequence[int] = ()) -> dict[str, int | float]:
    """macs, flops, bops and size_bytes of a configuration; needs no training, and without `of`, its images' signature,
    the data set.
    """
    inventory = cost.inventory(config.model, *(of or signature(data_of(config))))
    return cost.costs(inventory, config.w_bits, config.a_bits, weight_quantiser=config.weight_quantiser)


def new_model(config: Config, data: Data) -> Sandwich:
    """The configuration's model with its quantisers, weights drawn from its seed or pretrained."""
    made = Sandwich(float_model(config, data), config, signature(data))
    if config.mask == "threshold":
        made.model.epsilon = nn.Parameter(torch.tensor(config.epsilon))
    return made


def quantiser_values(config: Config) -> int:
    """How many numbers the quantisers of a configuration learn: steps and alphas, of each width.

    >>> quantiser_values(Config.parse({"bits": 4}))
    237
    """
    with torch.device("meta"):
        model = build(config.model, channels=3, size=64, classes=10)
        plain = sum(parameter.numel() for parameter in model.parameters())
        made = Sandwich(model, config, (3, 64, 10)).parameters()
    return sum(parameter.numel() for parameter in made.parameters()) - plain


def float_model(config: Config, data: Data) -> nn.Module:
    """Return the same without quantisers; UserError for pretrained weights that do not fit."""
    torch.manual_seed(config.seed)
    channels, size, classes = signature(data)
    model = build(config.model, channels=channels, size=size, classes=classes)
    if config.pretrained and not config.init:
        load_pretrained(model, config.model, config.pretrained)
    return model


def locate_pretrained(config: Config) -> str:
    """Return the configuration's pretrained weights so that workers find them from any folder, files by whole path."""
    named = config.pretrained in published(config.model)
    return config.pretrained if named else str(real(config.pretrained))


def check_pretrained(config: Config) -> None:
    """Check that the pretrained weights of a configuration are those of its model.

    Raises:
        UserError: They cannot be read, or do not fit the model.
    """
    if config.pretrained:
        float_model(config, data_of(config))


def load_start(model: nn.Module, config: Config) -> bool:
    """Let a model start from the checkpoint that `config.init` names: a float model, or a shared one.

    Args:
        model: The model of `config`, which is changed in place. Of a float model it takes the weights, under its
            quantisers; of a shared model the quantisers of its widths too. An `alpha_init` other than the shared
            model's, with `alpha_start` "init", multiplies every learned alpha by the ratio of the two.
        config: The run.

    Returns:
        Whether the quantisers were taken, so that they need no calibration.

    Raises:
        UserError: The checkpoint is missing or damaged, of one quantised configuration, or of a model that does not
            fit.
    """
    path = Path(config.init)
    tensors, about = checkpoint.read(path)
    is_shared = any(name.startswith(ANY_WIDTH) for name in tensors)
    if is_shared:
        load_shared(model, tensors, config, path)
        if config.alpha_start == "init":
            _scale_alphas(model, config.alpha_init / about["config"]["alpha_init"])
    else:
        _load_float(model, tensors, path)
    return is_shared


@torch.no_grad()
def _scale_alphas(model: nn.Module, factor: float) -> None:
    for alpha in clipping_levels(model):
        alpha.mul_(factor)


def _load_float(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    own = model.state_dict()
    if any("parametrizations" in name or "quantiser" in name for name in tensors):
        raise UserError(f"{path} is quantised; give a float model (bits=32) of the same data set")
    for name, tensor in tensors.items():
        place = name if name in own else name.replace("weight", "parametrizations.weight.original")
        if name == "epsilon":
            continue
        if place not in own or own[place].shape != tensor.shape:
            raise UserError(
                f"{path} does not fit this model ({name}); give a float one (bits=32) of the same model and data set"
            )
        own[place].copy_(tensor)


def _config(path: Path, settings: Mapping[str, Any]) -> Config:
    try:
        return Config.parse(settings)
    except ModelImportError:
        raise
    except UserError as error:
        raise UserError(
            f"{path} has settings that cannot be used here ({error}); use the version that wrote it, or train it again"
        ) from None


def load_checkpoint(path: Path, data_dir: str = "") -> tuple[nn.Module, Config, dict[str, Any]]:
    """The model of a checkpoint file in evaluation mode, its configuration, and what else was recorded with it.

    That is its `metrics`, and `inputs.DESCRIBED` of its images. A given `data_dir` replaces the configuration's.
    """
    tensors, about = checkpoint.read(path)
    if "signature" not in about or any(name.startswith("model.") for name in tensors):
        raise UserError(f"{path} holds no finished model; name the {layout.CHECKPOINT_FILE} beside it")
    if any(name.startswith(ANY_WIDTH) for name in tensors):
        raise UserError(f"{path} is a shared model of several widths; name the checkpoint of a trial")
    check_finished(path, about)
    config = _config(path, about["config"] | ({"data_dir": data_dir} if data_dir else {}))
    channels, size, classes = about["signature"]
    _check_weights(path, tensors, config, about["signature"])
    model = build(config.model, channels=channels, size=size, classes=classes)
    Sandwich(model, config, (channels, size, classes))  # puts the quantisers in
    if "epsilon" in tensors:
        model.epsilon = nn.Parameter(tensors["epsilon"])
    try:
        model.load_state_dict(tensors)
    except RuntimeError:
        raise _other_version(path, config) from None
    model.to(memory_format=torch.channels_last)  # as it was trained: the same bits come out
    return model.eval(), config, about


def _check_weights(path: Path, tensors: Mapping[str, Tensor], config: Config, of: Sequence[int]) -> None:
    """Raise UserError for weights that are not finite, or fewer than a model of the signature `of` has.

    That is asked before the model is made: a signature may describe one that no memory holds.
    """
    if wrong := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise UserError(f"{path} cannot be used: {wrong[0]} has a value that is not finite; train it again")
    channels, size, classes = of
    with torch.device("meta"):
        model = build(config.model, channels=channels, size=size, classes=classes)
    if sum(one.numel() for one in model.parameters()) > sum(one.numel() for one in tensors.values()):
        raise _other_version(path, config)


def _other_version(path: Path, config: Config) -> UserError:
    other = config.model if is_own_model(config.model) else "this program"
    return UserError(f"{path} is of another version of {other}; restore that, or train it again")
