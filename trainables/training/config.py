"""The configuration of one training run: every choice of the two papers as one field with its symbol.

A run is typed, searched and recorded as flat names (`lambda1`, `bits.conv1`); `Config.parse` reads them,
`Config.flat` writes them, and `parse(flat())` gives the same configuration back.

Paper A is "Resource-efficient medical image classification for edge devices", paper B "Saliency Assisted Quantization
for Neural Networks".
"""

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Self

from search_spaces import WIDTHS, is_width, owners
from study_common.errors import UserError, check_known, unknown
from trainables.choices import (
    AUGMENTATION_SETS,
    AUGMENTATIONS,
    CHOICES,
    MODEL_FORMS,
    MODELS,
    TORCHVISION,
    is_own_model,
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """One SGT-PACT training run."""

    dataset: str = "fashion_mnist_small"
    """One of `choices.DATASETS`."""
    data_dir: str = ""
    """Where the files of the data set are; "" for the embedded set or the data set's usual place."""
    image_size: int = 64
    """Height and width in pixels to which the images of a folder are scaled."""
    on_bad_image: str = "refuse"
    """At a damaged image, `refuse` the data set or `skip` the image."""
    crop_border: bool = False
    """Whether to cut off the black border of endoscopy images."""
    resize: str = "squash"
    """How a picture becomes a square, one of `choices.RESIZE`."""
    labels: str = ""
    """The CSV file of paths and classes of the data set `csv`."""
    group: str = ""
    """A pattern over paths: images for which it finds the same text, such as a patient, stay in one split."""
    group_near_duplicates: bool = False
    """Whether pictures that look alike stay in one split."""
    positive: str = ""
    """Of two classes the one whose sensitivity and specificity are measured; "" for the mean over both."""
    masks: str = ""
    """Where the masks of the images are, by which it is measured whether maps point at the finding; "" for none."""
    model: str = "paper_cnn"
    """One of `choices.MODEL_FORMS`: a name of ours or of torchvision, `timm/NAME`, or `package.module:callable`."""
    preset: str = "best"
    """The recipe whose settings the other fields replace; see `trainables/presets/`."""
    epochs: int = 4
    """Passes over the training split; 0 only fits the quantisers to the first batch (post-training quantisation)."""
    rungs: tuple[int, ...] = ()
    """The epochs after which the maps are measured; they always are after the last."""
    seed: int = 0
    """Seed of the initial weights, the order of the images, the augmentation and the fill."""
    refit: bool = False
    """Whether to train on the validation images too, for a confirmation, which measures on the test split."""
    pretrained: str = ""
    """Pretrained weights: torchvision's name for them, or a .pth or .safetensors file with the model's state dict. None
    for our own networks. Ignored with `init`, whose float model started from them."""
    init: str = ""
    """Path of a float checkpoint to start from; "" starts from random or pretrained weights."""

    batch_size: int = 128
    """Images per step; the last, smaller batch of an epoch is dropped."""
    optimizer: str = "adam"
    """Of theta and alpha: `adam` (paper A, Algorithm 2, line 8), or `sgd`, momentum 0.9 (paper B, section III B)."""
    lr: float = 1e-3
    """tau, the step size of theta."""
    lr_alpha: float = 1e-2
    """tau_alpha, the step size of alpha (paper A, Algorithm 2, line 9); alpha has no weight decay."""
    weight_decay: float = 0.0
    """L2 on theta, decoupled under Adam."""
    schedule: str = "cosine"
    """Of every step size: `cosine` down to 0 over all epochs, or `constant`."""
    augment: bool | tuple[str, ...] = True
    """How to change training images at random: names of `choices.AUGMENTATIONS` or of one of `AUGMENTATION_SETS`,
    `true` for what suits the data set, or `false`."""
    balance: str = "none"
    """For classes of unequal size, `loss` weights CE by `sgt.class_weights`; S stays the gradient of the plain CE."""
    precision: str = "auto"
    """Of the training step's convolutions: `bfloat16` by autocast, `float32`, or `auto`, bfloat16 where the processor
    has it. Saliency, alpha, epsilon and every evaluation are float32."""

    lambda1: float = 1.0
    """Weight of KL(f(X) || f(X~)), batch mean (paper A, Algorithm 2, line 7; lambda of paper B, Algorithm 1). 0 turns
    the masked pass off."""
    lambda2: float = 0.0
    """Weight of mean_i sum |S_i| (paper A, Algorithm 2, line 7), by exact double backward."""
    stop_gradient: bool = False
    """Whether the gradient of the KL term reaches f(X~) only, not f(X)."""
    eta: float = 1e-4
    """Weight of ||alpha|| (paper A, Algorithm 2, line 9)."""
    alpha_norm: str = "l1"
    """||alpha|| as the sum of the alphas, `l1` (paper A), or of their squares, `squared` (the PACT paper)."""

    mask: str = "ratio"
    """Which pixels are masked. `ratio`: the lowest `mask_ratio` of |S| of each image (paper B, Algorithm 1).
    `threshold`: |S| / max |S| <= epsilon (paper A, Algorithm 2, line 4)."""
    mask_ratio: float = 0.5
    """Share of the pixels of an image that is masked, in (0, 1): k over the number of pixels."""
    epsilon: float = 0.1
    """Start of the learnable threshold, in (0, 1)."""
    gamma: float = 1e-2
    """Step size of epsilon (paper A, Algorithm 2, line 10)."""
    saliency: str = "loss"
    """The scalar whose gradient is S: CE of the label (paper A, Algorithm 2, line 3), its logit, or the logit of
    the predicted class."""
    fill: str = "uniform"
    """Value of a masked pixel before normalisation: `uniform` in [0, 1], `zero`, or the training `mean`."""

    attribution: str = "gradient"
    """The saliency method that faithfulness is measured with; the same for all trials of a study."""

    weight_quantiser: str = "lsq"
    """`lsq` (learned step size), `lsq_integer` (the same on whole levels, one fewer, for devices that take no halves),
    or `affine` (paper B, eq. 1)."""
    alpha_init: float = 3.0
    """Start of every clipping level alpha, above 0; see `alpha_start`."""
    alpha_start: str = "init"
    """How alpha starts: `init` at `alpha_init`; `percentile` at the `alpha_percentile` of |x| over the first batch;
    `mse` at the level of least squared error over the first batch."""
    alpha_percentile: float = 100.0
    """In (0, 100]; 100 is the largest value (min-max calibration)."""
    w_bits: Mapping[str, int] = field(default_factory=dict)
    """Bit-width of each layer's weights by its name, in {2, 3, 4, 6, 8, 32}; a layer not named keeps 32."""
    a_bits: Mapping[str, int] = field(default_factory=dict)
    """Bit-width of each layer's input; the first layer has none, because its input is the 8-bit image."""
    widths: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Makes the run that of a shared model (`sandwich`): the widths among which a name such as `bits.conv1` varies. Its
    `w_bits` and `a_bits` are then the greatest."""

    def __post_init__(self) -> None:
        check_model_name(self.model)
        for name, choices in CHOICES.items():
            if getattr(self, name) not in choices:
                raise unknown(name, getattr(self, name), choices)
        _require(self.epochs >= 0, "epochs", "0 or above", self.epochs)
        _require(0 <= self.seed < 2**31, "seed", f"0 to {2**31 - 1}", self.seed)
        _require(self.batch_size >= 1, "batch_size", "at least 1", self.batch_size)
        for name in ("lr", "lr_alpha", "gamma", "alpha_init"):
            _require(0 < getattr(self, name) < math.inf, name, "above 0 and finite", getattr(self, name))
        for name in ("lambda1", "lambda2", "eta", "weight_decay"):
            _require(0 <= getattr(self, name) < math.inf, name, "0 or above and finite", getattr(self, name))
        for name in ("mask_ratio", "epsilon"):
            _require(0 < getattr(self, name) < 1, name, "between 0 and 1", getattr(self, name))
        _require(
            0 < self.alpha_percentile <= 100,
            "alpha_percentile",
            "above 0 and at most 100",
            self.alpha_percentile,
        )
        if self.pretrained and self.model in MODELS and self.model not in TORCHVISION:
            raise UserError(f"there are no pretrained weights for {self.model}; leave them out")
        for kind, widths in (("w_bits", self.w_bits), ("a_bits", self.a_bits)):
            for layer, bits in widths.items():
                _require(bits in WIDTHS, f"{kind}.{layer}", f"one of {', '.join(map(str, WIDTHS))}", bits)

    @classmethod
    def parse(cls, flat: Mapping[str, Any]) -> Self:
        """Read a configuration from flat names.

        Args:
            flat: Settings by name; `preset` names the recipe whose settings they replace. Values may be text, as typed
                on a command line. Widths are `bits`, `bits.conv1`, `w_bits.*` and the like. The more specific name
                wins: `w_bits` over `bits`, then one layer over a glob over all layers. `bits` of the first layer is
                the width of its weights.

        Raises:
            UserError: An unknown name, layer or value (the message has the nearest valid one), or `a_bits` of the first
                layer.
        """
        flat = {**preset(str(flat.get("preset", cls.preset)))["run"], **flat}
        varied = {
            name[len(_VARIED) :]: _widths(name, v) for name, v in flat.items() if name.startswith(_VARIED)
        }
        given = {name: _width(name, value) for name, value in flat.items() if is_width(name)}
        plain = {
            name: _convert(name, value)
            for name, value in flat.items()
            if name not in given and not name.startswith(_VARIED)
        }
        config = cls(**plain, widths=varied)
        most = {name: max(values) for name, values in varied.items()}
        parsed = config.at({**most, **given})
        if parsed.at(most) != parsed:
            raise UserError(
                f"a name sets a width of layers that {', '.join(varied)} of `widths` varies; leave one out"
            )
        return parsed

    def at(self, widths: Mapping[str, int]) -> Self:
        """Return this configuration with other widths, those of names such as `bits.conv1` or `a_bits.conv*`.

        >>> Config.parse({"bits": 8}).at({"bits.conv2": 2}).w_bits["conv2"]
        2
        """
        from trainables.models.catalogue import (
            layer_names,  # imports torch; a list of the settings does not need it
        )

        names = layer_names(self.model)
        found = owners(widths, names)
        w_bits, a_bits = (
            {n: widths[found[f"{kind}.{n}"]] if f"{kind}.{n}" in found else before.get(n, 32) for n in layers}
            for kind, layers, before in (("w_bits", names, self.w_bits), ("a_bits", names[1:], self.a_bits))
        )
        return replace(self, w_bits=w_bits, a_bits=a_bits)

    def unlike(self, saved: Mapping[str, Any]) -> list[str]:
        """Return the flat names whose values differ in a `saved` configuration, apart from the locations of files.

        A setting that `saved` lacks, because it is older than the setting, is no difference; a layer's width is.

        >>> Config.parse({}).unlike(Config.parse({"lr": 0.5, "init": "moved"}).flat())
        ['lr']
        """
        mine = self.flat()
        newer = set(self.names()) - saved.keys()
        return [n for n in {**mine, **saved} if n not in {*PLACES, *newer} and mine.get(n) != saved.get(n)]

    def shareable(self) -> dict[str, Any]:
        """Return `flat()` for a file that leaves this machine: without the locations of files on it.

        >>> Config.parse({"dataset": "folder", "data_dir": "/home/me/patients"}).shareable()["data_dir"]
        ''
        """
        return self.flat() | dict.fromkeys(PLACES, "")

    def flat(self) -> dict[str, Any]:
        """Every field by its flat name, widths as `w_bits.<layer>` and `a_bits.<layer>`; ready for JSON and TOML.

        >>> Config.parse(Config.parse({"bits.conv2": 2}).flat()).w_bits["conv2"]
        2
        """
        flat = {name: getattr(self, name) for name in self.names()}
        flat["rungs"] = list(self.rungs)
        flat["augment"] = list(self.augment) if isinstance(self.augment, tuple) else self.augment
        for kind in ("w_bits", "a_bits"):
            flat |= {f"{kind}.{layer}": bits for layer, bits in getattr(self, kind).items()}
        return flat | {f"{_VARIED}{name}": list(values) for name, values in self.widths.items()}

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """The flat names that are not widths, as `Config.parse` accepts them."""
        return tuple(f.name for f in fields(cls) if f.name not in ("w_bits", "a_bits", "widths"))


_VARIED = "widths."
"""The flat names of `Config.widths`, such as `widths.bits.conv1`, begin with it."""


IMAGE_PLACES = ("data_dir", "labels", "masks")
"""Settings that are locations of images and of what is known of them."""
PLACES = (*IMAGE_PLACES, "init", "pretrained")
"""Settings that are locations of files."""
_SHARED = (
    "dataset", "data_dir", "image_size", "on_bad_image", "crop_border", "resize", "labels", "group",
    "group_near_duplicates", "positive", "augment", "balance", "model", "pretrained", "preset", "precision", "seed",
)  # fmt: skip


OF_START = (
    "epochs", "batch_size", "optimizer", "lr", "lr_alpha", "weight_decay", "schedule", "lambda1", "lambda2", "eta",
    "mask_ratio",
)  # fmt: skip
"""Settings in which the model that all trials of a study start from may differ from them."""


def float_config(config: Config, given: Mapping[str, Any] = MappingProxyType({})) -> Config:
    """The configuration of the float model of `--init float`, from which every trial of a study starts.

    It has the `_SHARED` settings of `config`, those of the preset's `[init]`, and those `given`, names of `OF_START`. A
    `batch_size` below the preset's, for few images, also holds for this model.
    """
    same = {name: getattr(config, name) for name in _SHARED}
    floats = Config.parse({**same, **preset(config.preset)["init"]})
    if config.batch_size < Config.parse({"preset": config.preset}).batch_size:
        floats = replace(floats, batch_size=min(floats.batch_size, config.batch_size))
    return Config.parse({**floats.flat(), **given})


def check_model_name(name: str) -> None:
    """Raise UserError if a model can have no such name; an own one is not looked for."""
    if not (name in MODELS or is_own_model(name)):
        raise unknown("model", name, MODEL_FORMS)


def shared_config(
    config: Config, widths: Mapping[str, tuple[int, ...]], given: Mapping[str, Any] = MappingProxyType({})
) -> Config:
    """The configuration of the shared model of `--init shared`, from which every trial of a study starts.

    Args:
        config: That of a trial, at any widths; all its other settings hold for the shared model too, except `epochs`
            if the preset's `[shared]` states them, and those `given`.
        widths: The widths among which names such as `bits.conv1` vary in the study.
        given: Other values of names of `OF_START`.
    """
    own = {"epochs": config.epochs, **preset(config.preset)["shared"], **given}
    made = replace(Config.parse({**config.flat(), **own, "rungs": ()}), init="", widths=dict(widths))
    return made.at({name: max(values) for name, values in widths.items()})


def presets() -> tuple[str, ...]:
    """The names of the recipes under `presets/`."""
    return tuple(sorted(p.name.removesuffix(".toml") for p in (files("trainables") / "presets").iterdir()))


def preset(name: str) -> dict[str, dict[str, Any]]:
    """A recipe: the settings of every `run`, in `init` those of the float model of `--init float`, in `shared` those of
    the shared model of `--init shared`.

    Raises:
        UserError: There is no preset of this name.
    """
    if name not in presets():
        raise unknown("preset", name, presets())
    document = tomllib.loads((files("trainables") / "presets" / f"{name}.toml").read_text())
    return {part: document.get(part, {}) for part in ("run", "init", "shared")}


def _convert(name: str, value: Any) -> Any:
    """Bring a value, possibly typed on a command line, to the type of its field."""
    by_name = {f.name: f for f in fields(Config)}
    if name not in by_name:
        raise unknown("setting", name, [*Config.names(), "bits.<layer>", "w_bits.<layer>", "a_bits.<layer>"])
    kind: Any = by_name[name].type
    if name == "augment":
        return _augment(value)
    try:
        if isinstance(value, bool) and kind is not bool:
            raise TypeError
        if kind is bool:
            return {"true": True, "false": False}[str(value).lower()]
        if kind is int:
            return int(str(value))
        if kind is float:
            return float(value)
        if kind is str:
            return str(value)
        return tuple(int(v) for v in (value.split(",") if isinstance(value, str) else value))
    except (KeyError, TypeError, ValueError):
        takes = kind.__name__ if isinstance(kind, type) else "comma-separated int"
        raise UserError(f"{name} is {value!r}; it takes {takes} values") from None


def _augment(value: Any) -> bool | tuple[str, ...]:
    """Read `augment`: true, false, the name of a set, or names, typed with commas between them.

    >>> _augment("true"), _augment("upright"), _augment(["rotate", "flip_h"])
    (True, ('shift', 'rotate'), ('flip_h', 'rotate'))
    """
    if isinstance(value, bool) or value in ("true", "false"):
        return value in (True, "true")
    names = AUGMENTATION_SETS.get(str(value)) or (value.split(",") if isinstance(value, str) else value)
    if not isinstance(names, list | tuple):
        raise UserError(f"augment is {value!r}; it takes true, false or names such as flip_h,rotate")
    check_known("augment", names, ("true", "false", *AUGMENTATION_SETS, *AUGMENTATIONS))
    return tuple(name for name in AUGMENTATIONS if name in names) or False


def _widths(name: str, value: Any) -> tuple[int, ...]:
    """Read the widths of a shared model, a list or typed with commas; the smallest first.

    >>> _widths("widths.bits", "4,2")
    (2, 4)
    """
    values = value.split(",") if isinstance(value, str) else value
    if not isinstance(values, list | tuple) or not is_width(name.removeprefix(_VARIED)):
        raise UserError(f"{name} is {value!r}; write widths such as widths.bits=2,4,8")
    return tuple(sorted({_width(name, v) for v in values}))


def _width(name: str, value: Any) -> int:
    widths = {str(width): width for width in WIDTHS}
    if str(value) not in widths:
        raise UserError(f"{name} is {value!r}; a bit-width is one of {', '.join(widths)}")
    return widths[str(value)]


def _require(good: bool, name: str, what: str, value: object) -> None:
    if not good:
        raise UserError(f"{name} is {value!r}; it must be {what}")
