"""Models that are not ours: `package.module:callable` of the user, and `timm/NAME` of the package timm.

The user's callable gets `channels`, `size` and `classes` by name and returns an `nn.Module` from images
(n, channels, size, size) to logits (n, classes). What fails in its code is one sentence with the file and the line.
"""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from socket import gethostname
from typing import Any

import torch
from torch import Tensor, nn

from study_common.commands import needs
from study_common.errors import ModelImportError, UserError, nearest
from trainables.choices import TIMM

_NOT_THEIRS = (
    "<frozen",
    *(f"{folder}/" for folder in (Path(str(torch.__file__)).parent, Path(__file__).parents[1])),
)


def make(name: str, *, channels: int, size: int, classes: int) -> nn.Module:
    """Build a model that `choices.is_own_model`, with random weights from torch's global generator.

    Raises:
        ModelImportError: Its module or the callable in it is not found, or cannot be imported.
        UserError: timm has no such model, or the callable fails or returns something else.
    """
    if name.startswith(TIMM):
        return _timm(name.removeprefix(TIMM), channels=channels, size=size, classes=classes)
    builder = _imported(name)
    with own_code(f"{name} with channels={channels}, size={size}, classes={classes}"):
        model = builder(channels=channels, size=size, classes=classes)
    if not isinstance(model, nn.Module):
        raise UserError(f"{name} returns a {type(model).__name__}; let it return an nn.Module")
    return model


@contextmanager
def own_code(what: str) -> Iterator[None]:
    """Turn an error of code that is not ours into a UserError that says where it was raised."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        raise UserError(f"{what} fails: {_said(error)}") from None


def _said(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = [frame for frame in frames if not frame.filename.startswith(_NOT_THEIRS)]
    place = (theirs or frames)[-1]
    said = " ".join(f"{type(error).__name__}: {error}".split())
    return f"{said} ({Path(place.filename).name}, line {place.lineno})"


def _imported(name: str) -> Any:
    module, _, attributes = name.partition(":")
    if not (module and attributes):
        raise UserError(f"the model {name!r} is not of the form PACKAGE.MODULE:CALLABLE; write both parts")
    if module.startswith(".") or module.endswith(".py") or "/" in module:
        raise UserError(
            f"{module} is a place of a file; name the module as an import does, such as "
            f"{Path(module).stem}:{attributes}, with its folder on PYTHONPATH"
        )
    try:
        found = import_module(module)
    except (Exception, SystemExit) as error:  # a script may end in the middle of its import
        missing = error.name if isinstance(error, ModuleNotFoundError) and error.name else ""
        if missing and f"{module}.".startswith(f"{missing}."):
            raise ModelImportError(
                f"there is no module {missing} on {gethostname()}; put its folder on PYTHONPATH, or install it"
            ) from None
        raise ModelImportError(f"importing {module} on {gethostname()} fails: {_said(error)}") from None
    for attribute in attributes.split("."):
        if not hasattr(found, attribute):
            close = nearest(attribute, vars(found))
            raise ModelImportError(f"{module} has no {attributes}; the nearest is {close!r}")
        found = getattr(found, attribute)
    if not callable(found):
        raise UserError(f"{name} is a {type(found).__name__}; name a function or class that makes a model")
    return found


def _timm(name: str, *, channels: int, size: int, classes: int) -> nn.Module:
    needs("timm", extra="timm")
    import timm
    from timm.layers.norm_act import BatchNormAct2d

    if not timm.is_model(name):
        close = nearest(name, timm.list_models())
        raise UserError(f"timm has no model {name!r}; the nearest is {TIMM}{close}")
    settings: dict[str, Any] = {"in_chans": channels, "num_classes": classes}
    fixed = timm.get_pretrained_cfg(name)
    if fixed and fixed.fixed_input_size:
        settings["img_size"] = size
    with own_code(f"{TIMM}{name} for images of {size} pixels"):
        model: nn.Module = timm.create_model(name, pretrained=False, **settings)
    for parent in list(model.modules()):
        for place, child in parent.named_children():
            if isinstance(child, BatchNormAct2d):
                setattr(parent, place, NormAct(child))
    return model


class NormAct(nn.Module):
    """A `BatchNormAct2d` of timm as its parts, so that the norm can be folded and the activation exported."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(
            whole.num_features, eps=whole.eps, momentum=whole.momentum, affine=whole.affine,
            track_running_stats=whole.track_running_stats,
        )  # fmt: skip
        self.norm.load_state_dict(whole.state_dict(), strict=True)
        self.drop, self.act = whole.drop, whole.act

    def forward(self, x: Tensor) -> Tensor:
        """Return the activation of the normalised x, (n, channels, height, width)."""
        out: Tensor = self.act(self.drop(self.norm(x)))
        return out
