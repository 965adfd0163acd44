"""The models: the CNN of paper B, a tiny one, a small one for photographs, torchvision's by name, and own ones."""

from functools import lru_cache
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from study_common.errors import ModelImportError, UserError
from trainables.choices import TORCHVISION, is_own_model
from trainables.models import own_models
from trainables.models.calls import Reads

SMALLEST = {"paper_cnn": 6, "tiny_cnn": 12, "small_cnn": 16} | dict.fromkeys(TORCHVISION, 64)
"""Height and width of the smallest images, in pixels. Below it the CNN of paper B has nothing to pool, and a 3x3
convolution of the other models reads one pixel; there PyTorch's bfloat16 weight gradient reads uninitialised memory on
CPUs (seen in 2.14)."""


class PaperCNN(nn.Module):
    """The CNN of paper B, Table I: conv 32, conv 64 (3x3, stride 1, no padding), max-pool 2x2, FC 128, FC classes.

    For 28x28 grey images and 10 classes it has 1,199,882 parameters and 11,992,448 multiply-accumulates. The papers do
    not say where they pool; here the pool follows the second convolution.

    Args:
        channels: Of the images, 1 or 3.
        size: Height and width of the images, in pixels, at least 6.
        classes: The number of classes.
    """

    def __init__(self, channels: int, size: int, classes: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3)
        self.conv2 = nn.Conv2d(32, 64, 3)
        self.fc1 = nn.Linear(64 * ((size - 4) // 2) ** 2, 128)
        self.fc2 = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, size, size).

        ReLU follows the pool, which gives the same values at a quarter of the work.
        """
        if (
            x.shape[1] == 1
        ):  # the strides of channels-last, which torch cannot infer for one channel, and is 2x slower
            x = x.reshape(-1, *x.shape[2:], 1).permute(0, 3, 1, 2)
        x = F.relu(self.conv1(x), inplace=True)
        x = F.relu(F.max_pool2d(self.conv2(x), 2), inplace=True)
        x = x.permute(0, 2, 3, 1).flatten(1)  # a view: channels-last memory is in this order already
        x = F.relu(self.fc1(x), inplace=True)
        logits: Tensor = self.fc2(x)
        return logits


class TinyCNN(nn.Module):
    """Three times conv 3x3 of stride 2, BatchNorm and ReLU, with 8, 16 and 32 channels; mean over the map; FC.

    It fits a microcontroller, and its few channels make the width of every layer matter. Strides take the place of
    pooling, so no map is computed that is then thrown away. For 28x28 grey images and 10 classes it has 6,274
    parameters and 144,608 multiply-accumulates, an eightieth of those of the CNN of paper B.

    Args:
        channels: Of the images, 1 or 3.
        classes: The number of classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, 8, 16, 32)
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(after))
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, size, size), size at least 12."""
        for i in range(1, 4):
            x = F.relu(self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x)), inplace=True)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


class SmallCNN(nn.Module):
    """Four times conv 3x3, BatchNorm, ReLU and max-pool 2x2, with 16, 32, 64 and 128 channels; mean over the map; FC.

    It can be trained from scratch on photographs. For 64x64 colour images and 8 classes it has 98,712 parameters and
    15,926,272 multiply-accumulates.

    Args:
        channels: Of the images, 1 or 3.
        classes: The number of classes.
    """

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        widths = (channels, 16, 32, 64, 128)
        for i, (before, after) in enumerate(pairwise(widths), start=1):
            self.add_module(f"conv{i}", nn.Conv2d(before, after, 3, padding=1, bias=False))
            self.add_module(f"bn{i}", nn.BatchNorm2d(after))
        self.fc = nn.Linear(widths[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits (n, classes) of images (n, channels, size, size), size at least 16."""
        for i in range(1, 5):
            x = self.get_submodule(f"bn{i}")(self.get_submodule(f"conv{i}")(x))
            x = F.relu(F.max_pool2d(x, 2), inplace=True)
        logits: Tensor = self.fc(x.mean(dim=(2, 3)))
        return logits


class HardSigmoid(nn.Module):
    """clip(x / 6 + 1/2, 0, 1), as nn.Hardsigmoid, whose gradient PyTorch cannot differentiate again for lambda2."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the values for x of any shape, in the same shape."""
        return F.relu6(x + 3) / 6


def build(name: str, *, channels: int, size: int, classes: int) -> nn.Module:
    """Build a float model with random weights from torch's global generator.

    Args:
        name: One of `choices.MODELS`, or of an own model (`choices.is_own_model`).
        channels: Of the images, 1 or 3; torchvision's models need 3.
        size: Height and width of the images, in pixels, at least `SMALLEST[name]`.
        classes: The number of classes.

    Returns:
        The model, from normalised images (n, channels, size, size) to logits (n, classes).

    Raises:
        UserError: The model does not accept images of these channels or this size, or an own one cannot be built.
    """
    if is_own_model(name):
        return _twice_differentiable(own_models.make(name, channels=channels, size=size, classes=classes))
    if name in TORCHVISION and channels != 3:
        raise UserError(
            f"{name} takes images in colour and these have {channels} channel; choose small_cnn or paper_cnn"
        )
    if size < (least := SMALLEST[name]):
        raise UserError(
            f"{name} takes images of {least} pixels or more and these have {size}; set image_size={least}"
        )
    if name == "paper_cnn":
        return PaperCNN(channels, size, classes)
    if name == "tiny_cnn":
        return TinyCNN(channels, classes)
    if name == "small_cnn":
        return SmallCNN(channels, classes)
    from torchvision import models  # here, because importing it takes as long as importing torch

    settings = {"aux_logits": False, "init_weights": False} if name == "googlenet" else {}
    return _twice_differentiable(getattr(models, name)(weights=None, num_classes=classes, **settings))


def sample(name: str, *, channels: int, size: int, classes: int) -> tuple[nn.Module, Tensor]:
    """Return a model in evaluation mode and an image (1, channels, size, size), for passes that look at shapes.

    Both are on PyTorch's meta device, where a pass takes no time; an own model, whose code may read values,
    and of a RegNet, is real. The random generators stay as they are.
    """
    real = is_own_model(name) or name.startswith("regnet")
    with torch.random.fork_rng(devices=[]), torch.device("cpu" if real else "meta"):
        model = build(name, channels=channels, size=size, classes=classes).eval()
        return model, torch.zeros(1, channels, size, size).to(memory_format=torch.channels_last)


def _twice_differentiable(model: nn.Module) -> nn.Module:
    for module in list(model.modules()):
        for place, child in module.named_children():
            if isinstance(child, nn.Hardsigmoid):
                setattr(module, place, HardSigmoid())
    return model


def quantisable(model: nn.Module) -> dict[str, nn.Module]:
    """Return every Conv2d and Linear by its name, in the order of the model."""
    return {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}


@lru_cache(maxsize=32)
def norms(name: str, channels: int = 3, size: int = 64, classes: int = 10) -> dict[str, str]:
    """Return the name of the BatchNorm that alone reads the output of a convolution, for each that has one.

    >>> norms("resnet18")["layer1.0.conv2"]
    'layer1.0.bn2'
    """
    model, X = sample(name, channels=channels, size=size, classes=classes)
    made: dict[str, Tensor] = {}
    pairs: dict[str, str] = {}

    def remember(name: str, out: Tensor) -> None:
        made[name] = out

    def look(name: str, x: Tensor) -> None:
        pairs.update({convolution: name for convolution, out in made.items() if out is x})

    for place, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda _, args, out, place=place: remember(place, out))
        elif type(module) is nn.BatchNorm2d and module.affine and module.track_running_stats:
            module.register_forward_pre_hook(lambda _, args, place=place: look(place, args[0]))
    with torch.no_grad(), Reads() as reads:
        model(X)
    return {convolution: norm for convolution, norm in pairs.items() if reads.of(made[convolution]) == 1}


@lru_cache(maxsize=32)
def layer_names(name: str) -> tuple[str, ...]:
    """Return the names of the quantisable layers of the model `name`, which do not depend on the images.

    >>> layer_names("paper_cnn")
    ('conv1', 'conv2', 'fc1', 'fc2')

    Raises:
        UserError: An own model cannot be built for images of any usual size.
    """
    refused = []
    for channels, size in _USUAL if is_own_model(name) else _USUAL[:1]:
        try:
            return tuple(quantisable(sample(name, channels=channels, size=size, classes=10)[0]))
        except ModelImportError:
            raise
        except UserError as error:
            refused.append(error)
    raise refused[0]


_USUAL = ((3, 64), (1, 28), (3, 32), (3, 224), (1, 64), (1, 224))
"""Channels and sizes of images with which an own model is tried, if all that is asked is what layers it has."""
