"""What the service was told at its start: where it listens and what it may run."""

import ipaddress
import math
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import search_spaces
from study.store.options import INITS
from study_common.errors import UserError, check_known, unknown
from study_common.files import expanded, real
from trainables.choices import DATASETS, MODEL_FORMS, MODELS, is_own_model
from trainables.training.config import PLACES

EMBEDDED = "fashion_mnist_small"
"""The data set that comes with the package."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the service may do. The names of spaces and data sets are what a page offers."""

    runs_dir: Path
    host: str = "127.0.0.1"
    port: int = 8000
    spaces: Mapping[str, str]
    """Name -> what `--space` of a launch takes: a packaged name or the absolute path of a file."""
    datasets: Mapping[str, str]
    """Name -> the folder of its files; "" for the embedded one."""
    models: Sequence[str]
    hosts: Sequence[str] = ()
    """Further names by which browsers may address the service."""
    max_running: int = 4
    """Commands that run at a time."""

    def at(self, port: int) -> Self:
        """Return these settings with the port that it listens at."""
        return replace(self, port=port)

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the service."""
        return is_loopback(self.host)

    def is_known_host(self, name: str) -> bool:
        """Tell whether a request may name the service by `name`, without its port.

        A name that somebody else's DNS made point here is refused; an address cannot be made to.
        """
        name = name.lower().rstrip(".")
        ours = {"localhost", socket.gethostname().lower(), *map(str.lower, self.hosts)}
        return name in ours or is_address(name)

    def check_study(self, request: Mapping[str, Any]) -> None:
        """Raise UserError unless the study of this `study.toml` trains only what the service may run.

        It may have been copied here, and altered: `plan` lets no trial choose its own model or images.
        """
        space = request.get("space", {})
        points = [*request.get("queue", []), *space.get("points", [])]
        chosen = {*space.get("parameters", {}), *(name for point in points for name in point)}
        if own := sorted(chosen & {"dataset", "model", *PLACES}):
            raise UserError(f"{own[0]} differs among the trials of this study; continue it in a terminal")
        asked = {**request.get("fixed", {}), **request.get("request", {})}
        check_allowed("data set", asked.get("dataset") or EMBEDDED, self.datasets, "--allow-dataset")
        check_allowed("model", asked.get("model") or MODELS[0], self.models, "--allow-model")
        folder = self.datasets[asked.get("dataset") or EMBEDDED]
        for name in PLACES:
            value = str(asked.get(name) or "")
            if value and value not in (*INITS, folder):
                raise UserError(
                    f"{name} of this study is {value}, which the service may not read; continue it in a terminal"
                )


def check_allowed(what: str, name: str, allowed: Mapping[str, Any] | Sequence[str], option: str) -> None:
    """Raise UserError for a name that the service may not run; it says which option would allow it."""
    if name not in allowed:
        raise UserError(
            f"this service does not run the {what} {name!r}; it runs {', '.join(allowed)} ({option} adds to them)"
        )


def is_address(name: str) -> bool:
    """Tell whether a host is given by its address.

    >>> is_address("10.0.0.7"), is_address("[::1]"), is_address("example.org")
    (True, True, False)
    """
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach what listens at `host`."""
    return host == "localhost" or (is_address(host) and ipaddress.ip_address(host).is_loopback)


def allowed_spaces(given: Sequence[str]) -> dict[str, str]:
    """Return the packaged spaces and the files in `given`, by name.

    Raises:
        UserError: A file cannot be read, is no space, or has the name of another one.
    """
    spaces = {name: name for name in search_spaces.names()}
    for text in given:
        path = real(expanded(text))
        name = search_spaces.load(str(path)).name
        if name in spaces:
            raise UserError(f"--allow-space {text}: there is a space {name} already; rename the file")
        spaces[name] = str(path)
    return spaces


def allowed_datasets(given: Sequence[str]) -> dict[str, str]:
    """Return the embedded data set and those in `given`, each as NAME=FOLDER.

    >>> allowed_datasets(["mnist=/"])
    {'fashion_mnist_small': '', 'mnist': '/'}

    Raises:
        UserError: An unknown data set, one given twice, or a folder that is not there.
    """
    datasets = {EMBEDDED: ""}
    for text in given:
        name, _, folder = text.partition("=")
        check_known("data set", [name], DATASETS)
        path = real(expanded(folder))
        if name in datasets or not folder or not path.is_dir():
            raise UserError(
                f"--allow-dataset {text}: write NAME=FOLDER, once per data set, with a folder that exists"
            )
        datasets[name] = str(path)
    return datasets


def allowed_models(given: Sequence[str]) -> tuple[str, ...]:
    """Return the models that have a name of their own and those in `given`, whose code a study then runs.

    >>> allowed_models(["my_models:tiny"])[-1]
    'my_models:tiny'

    Raises:
        UserError: A model can have no such name.
    """
    for name in given:
        if not (name in MODELS or is_own_model(name)):
            raise unknown("model", name, MODEL_FORMS)
    return tuple(dict.fromkeys((*MODELS, *given)))


def positive(value: float, option: str) -> None:
    """Raise UserError unless an option is a number above 0."""
    if not 0 < value < math.inf:
        raise UserError(f"{option} is {value:g}; it must be above 0")
