"""What a user asks of a study: the options of `python -m study.launch`, before anything is checked."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import search_spaces
from study.store.options import ABOVE_0, LOGS, Options, flag
from study_common import objectives
from study_common.documents import parse_toml
from study_common.errors import UserError
from trainables.choices import CHOICES, MODEL_FORMS
from trainables.training.config import presets


def setting(text: str) -> tuple[str, Any]:
    """Read a --set: a name and a value, which is a number, true, false or a string.

    >>> setting("bits.conv1=4"), setting("mask=threshold"), setting("stop_gradient=true")
    (('bits.conv1', 4), ('mask', 'threshold'), ('stop_gradient', True))

    Raises:
        UserError: The name or the value is missing.
    """
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise UserError(f"{text!r} is not of the form key=value")
    try:
        return name, parse_toml(f"value = {value}")["value"]
    except ValueError:
        return name, value


IMAGES = ("labels", "group", "group_near_duplicates", "resize", "masks")
"""Settings of a run that say what the images are; each has a flag of its own."""


@dataclass(frozen=True, kw_only=True)
class Spec(Options):
    """What a user asks of `python -m study.launch`: each field with a flag is an option of it."""

    space: str = field(
        metadata=flag(
            f"what to search: {', '.join(search_spaces.names())}, or a .toml file", metavar="NAME|FILE"
        )
    )
    name: str = field(
        default="", metadata=flag("name of the study (default: the space's, with the next free number)")
    )
    dataset: str = field(default="", metadata=flag("the data set", choices=CHOICES["dataset"]))
    data_dir: str = field(default="", metadata=flag("where the files of the data set are", metavar="DIR"))
    labels: str = field(
        default="", metadata=flag("paths and classes of the images of --dataset csv", metavar="FILE.csv")
    )
    group: str = field(
        default="",
        metadata=flag(
            "pattern in their paths that images of one group share; a group stays in one split",
            metavar="PATTERN",
        ),
    )
    group_near_duplicates: bool = field(
        default=False, metadata=flag("keep pictures that look alike in one split")
    )
    resize: str = field(
        default="", metadata=flag("how a picture becomes a square", choices=CHOICES["resize"])
    )
    masks: str = field(
        default="",
        metadata=flag(
            "where the masks of the images are, of the same names and sizes; saliency_inside and pointing_game are "
            "then measured, and can be objectives",
            metavar="DIR",
        ),
    )
    model: str = field(
        default="", metadata=flag(f"the classifier: {', '.join(MODEL_FORMS)}", metavar="NAME|MODULE:CALLABLE")
    )
    weights: str = field(
        default="",
        metadata=flag(
            "pretrained weights: torchvision's name (IMAGENET1K_V1) or a state dict", metavar="NAME|FILE"
        ),
    )
    preset: str = field(default="", metadata=flag("a recipe of training settings", choices=presets()))
    objectives: str = field(
        default=objectives.DEFAULT, metadata=flag("what is traded off", metavar="NAME:max|min,...")
    )
    max_bops: float = field(
        default=math.inf,
        metadata=flag(
            "never train a configuration with more bit-operations", parse=float, metavar="X", rule=ABOVE_0
        ),
    )
    max_size: float = field(
        default=math.inf,
        metadata=flag(
            "never train a configuration with a larger file", parse=float, metavar="BYTES", rule=ABOVE_0
        ),
    )
    target: str = field(
        default="",
        metadata=flag(
            f"search only what this device takes: {', '.join(search_spaces.target_names())}, or a .toml file",
            metavar="NAME|FILE",
        ),
    )
    init_settings: Mapping[str, Any] = field(
        default_factory=dict,
        metadata=flag(
            "a setting of the model that --init trains, where it differs from the trials, such as epochs or lr; may be "
            "repeated",
            name="--init-set", parse=setting, metavar="KEY=VALUE", repeated=True,
        ),
    )  # fmt: skip
    warm_start: str = field(
        default="", metadata=flag("try the front of that study after the corners", metavar="NAME")
    )
    log: str = field(
        default="",
        metadata=flag("also show the trials in this tool, now and in each resume", choices=tuple(LOGS)),
    )
    address: str = field(
        default="", metadata=flag("address of a running Ray to join, or 'auto'", metavar="RAY")
    )
    fixed: Mapping[str, Any] = field(
        default_factory=dict,
        metadata=flag(
            "a setting of every trial; may be repeated",
            name="--set", parse=setting, metavar="KEY=VALUE", repeated=True,
        ),
    )  # fmt: skip
    runs_dir: str = "runs"
    command: str = ""
    """The command line, as a user would type it again."""
