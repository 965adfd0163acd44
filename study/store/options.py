"""The options of a study, each declared once: its flag, help text, default and valid values.

`Options` are those that `study.toml` keeps; `study.planning.spec.Spec` adds those that only a launch needs. The command
line, the checks and the [request] table are derived from these fields, so a new option is one new field.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from study_common.commands import needs
from study_common.errors import UserError, check_known

SAMPLERS = ("sms_ego", "tpe", "nsga2", "nsga3", "gp", "random", "grid")
SCHEDULERS = ("pareto_asha", "fifo")
INITS = ("float", "shared")
LOGS = {"mlflow": "mlflow", "tensorboard": "tensorboardX", "wandb": "wandb"}
"""The tools of --log, each also an extra, and the module that it needs."""
DEFAULT_TRIALS = 15
"""What `trials` is if it is not given."""


def check_log(name: str) -> None:
    """Raise MissingPackageError, with the command that installs it, if the tool of --log is not installed."""
    if name:
        needs(LOGS[name], name)


@dataclass(frozen=True)
class Rule:
    """What the value of an option must be."""

    holds: Callable[[Any], bool]
    requirement: str


@dataclass(frozen=True, kw_only=True)
class Flag:
    """How the option of a field is typed and checked."""

    name: str
    """Such as "--time-budget"; "": derived from the name of the field."""
    help: str
    parse: Callable[[str], Any]
    """Converts the typed text; raises ValueError or `UserError` if it is invalid."""
    metavar: str | None
    choices: Sequence[str]
    """The valid values; empty if they cannot be listed."""
    rule: Rule | None
    repeated: bool
    """Whether it may be typed several times; the field then has a list."""


def flag(
    help: str,
    *,
    name: str = "",
    parse: Callable[[str], Any] = str,
    metavar: str | None = None,
    choices: Sequence[str] = (),
    rule: Rule | None = None,
    repeated: bool = False,
) -> dict[str, Flag]:
    """Return the `metadata` of a field that is an option; the arguments are the fields of `Flag`."""
    found = Flag(
        name=name, help=help, parse=parse, metavar=metavar, choices=choices, rule=rule, repeated=repeated
    )
    return {"flag": found}


def flags(options: type) -> dict[str, Flag]:
    """Return the flag of each field of a dataclass that has one, in order.

    >>> flags(Options)["time_budget_s"].name, flags(Options)["trials"].name
    ('--time-budget', '')
    """
    return {each.name: each.metadata["flag"] for each in fields(options) if "flag" in each.metadata}


def typed(field_name: str, of: Flag) -> str:
    """Return how a flag is typed.

    >>> typed("reduction_factor", flags(Options)["reduction_factor"])
    '--reduction-factor'
    """
    return of.name or f"--{field_name.replace('_', '-')}"


def duration(text: str) -> float:
    """Read a time budget in seconds.

    >>> duration("90"), duration("30m"), duration("1h30m")
    (90.0, 1800.0, 5400.0)

    Raises:
        UserError: `text` is not a duration.
    """
    match = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d*)?)s?)?", text)
    if not text or not match:
        raise UserError(f"{text!r} is not a duration; write one such as 90s, 30m or 1h30m")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + seconds


ABOVE_0 = Rule(lambda value: value > 0, "above 0")
SEED = Rule(lambda value: 0 <= value < 2**31, f"in 0 to {2**31 - 1}")
AT_LEAST_0 = Rule(lambda value: 0 <= value < math.inf, "at least 0")
SHARE = Rule(
    lambda value: 0 <= value < math.inf and (value <= 1 or value % 1 == 0), "in 0 to 1, or a whole number"
)
AT_LEAST_2 = Rule(lambda value: value >= 2, "at least 2")


@dataclass(frozen=True, kw_only=True)
class Options:
    """The options that the [request] table of `study.toml` keeps: in a `Spec` as typed, in a `Request` as decided."""

    trials: int | None = field(
        default=None,
        metadata=flag(
            f"configurations to try (default: {DEFAULT_TRIALS}, or all of a finite space that has fewer)",
            parse=int, metavar="N", rule=ABOVE_0,
        ),
    )  # fmt: skip
    replicates: int = field(
        default=0,
        metadata=flag(
            "so many of the trials, the last ones, train again with fresh seeds: the configurations that are least "
            "surely on or off the front",
            parse=int, metavar="N", rule=AT_LEAST_0,
        ),
    )  # fmt: skip
    epochs: int | None = field(
        default=None,
        metadata=flag(
            "epochs per complete trial (default: the preset's)", parse=int, metavar="N", rule=ABOVE_0
        ),
    )
    time_budget_s: float = field(
        default=math.inf,
        metadata=flag(
            "stop after this time; a resume continues",
            name="--time-budget",
            parse=duration,
            metavar="30m",
            rule=ABOVE_0,
        ),
    )
    workers: int | None = field(
        default=None,
        metadata=flag(
            "trials at a time (default: one per CPU, or as many as the GPUs fit)", parse=int, metavar="N", rule=ABOVE_0
        ),
    )  # fmt: skip
    gpus_per_trial: float = field(
        default=0.0,
        metadata=flag(
            "GPUs per trial: a share of one, or several (default: 0, train on a CPU)",
            parse=float,
            metavar="F",
            rule=SHARE,
        ),
    )
    trial_timeout: float = field(
        default=20.0,
        metadata=flag(
            "a run that reports nothing for the longer of 5 minutes and X times the longest epoch so far is ended and "
            "retried; 0: never",
            parse=float, metavar="X", rule=AT_LEAST_0,
        ),
    )  # fmt: skip
    sampler: str = field(
        default="sms_ego",
        metadata=flag(
            "which configurations are proposed; gp takes seconds per proposal and is for up to 25 parameters, the "
            "others for any number",
            choices=SAMPLERS,
        ),
    )
    scheduler: str = field(
        default="pareto_asha", metadata=flag("which trials continue at a rung", choices=SCHEDULERS)
    )
    reduction_factor: int = field(
        default=3,
        metadata=flag(
            "for pareto_asha: the best 1/N of the trials continue at each rung",
            parse=int,
            metavar="N",
            rule=AT_LEAST_2,
        ),
    )
    init: str = field(
        default="",
        metadata=flag(
            "start every trial from one model, which is trained first: a float one, or a shared one of all widths",
            choices=INITS,
        ),
    )
    seed: int = field(
        default=0,
        metadata=flag("seed of the sampler and of every trial", parse=int, metavar="S", rule=SEED),
    )
    storage: str = field(
        default="",
        metadata=flag(
            "keep the record in this database, such as postgresql://user@host/database", metavar="URL"
        ),
    )


def check_choices(options: type, values: Mapping[str, Any]) -> None:
    """Raise UserError, naming the nearest valid one, for a value that is not among the choices of its option."""
    for name, of in flags(options).items():
        if of.choices:
            check_known(name, filter(None, [values[name]]), of.choices)


def check_rules(options: type, values: Mapping[str, Any]) -> None:
    """Raise UserError for a value that breaks the rule of its option; None, not given, breaks none."""
    for name, of in flags(options).items():
        value = values[name]
        if of.rule and value is not None and not of.rule.holds(value):
            raise UserError(f"{typed(name, of)} is {value:g}; it must be {of.rule.requirement}")
