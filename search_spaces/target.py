"""Targets: what a kind of device takes, as TOML, and a space or a configuration held against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from search_spaces.bits import WIDTHS, check_widths, is_width, kind_of, layer_widths
from search_spaces.domains import Choice, Domain, Scalar, as_tuple, is_scalar
from search_spaces.space import Space
from study_common.documents import parse_toml
from study_common.errors import UserError, check_known, located, unknown
from study_common.files import expanded, read_text

_FOLDER = Path(__file__).parent / "targets"
_KEYS = ("description", "sources", "weights", "activations", "zero_points", "formats", "settings")


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a device takes."""

    name: str
    weights: tuple[int, ...]
    """The widths of weights, in bits; 32 where a layer may stay float."""
    activations: tuple[int, ...]
    """The widths of the inputs of layers; the first layer reads the 8-bit image."""
    zero_points: bool = True
    """Whether the inputs of layers may have a zero-point, as those that can be negative do."""
    description: str = ""
    sources: tuple[str, ...] = ()
    """Where the maker of the device says so."""
    formats: tuple[str, ...] = ()
    """The formats of an export that it reads; empty: the default ones."""
    settings: Mapping[str, Scalar] = field(default_factory=dict)
    """What every run must be trained with, by flat name."""

    def __post_init__(self) -> None:
        for kind in ("weights", "activations"):
            with located(kind):
                check_widths(getattr(self, kind))
                if not getattr(self, kind):
                    raise UserError(f"at least one of {', '.join(map(str, WIDTHS))} is needed")

    def allowed(self, width: str) -> tuple[int, ...]:
        """Return the bits that a single width such as "w_bits.conv1" may have."""
        return self.weights if kind_of(width) == "w_bits" else self.activations

    def check(self, flat: Mapping[str, Any]) -> None:
        """Raise UserError, naming the first setting or layer that the device does not take, of a run's flat names."""
        for name, value in self.settings.items():
            if flat[name] != value:
                raise UserError(
                    f"target {self.name} needs {name}={value}, and not {flat[name]}; train with that"
                )
        for name, value in flat.items():
            if is_width(name) and value not in self.allowed(name):
                raise UserError(
                    f"target {self.name} takes {_listed(self.allowed(name))} for {name}, and not {value}; "
                    "give it one of those"
                )

    def accepts(self, flat: Mapping[str, Any]) -> bool:
        """Tell whether the device takes a run of these flat names."""
        try:
            self.check(flat)
        except UserError:
            return False
        return True

    def restrict(self, space: Space, layers: Sequence[str]) -> Space:
        """Return a space whose varied widths are those that the device takes.

        A width of both weights and inputs is split where the device takes other widths of the one than of the other.

        Args:
            space: A space that is resolved.
            layers: The layers of its model.

        Raises:
            UserError: None of the values of a width is taken.

        >>> target = Target(name="mine", weights=(4, 8), activations=(8,))
        >>> space = Space(name="one", parameters={"bits.b": Choice(values=(2, 4, 8))})
        >>> {name: domain.values for name, domain in target.restrict(space, ["a", "b"]).parameters.items()}
        {'w_bits.b': (4, 8), 'a_bits.b': (8,)}
        """
        parameters: dict[str, Domain] = {}
        for name, domain in space.parameters.items():
            parameters |= self._restricted(name, domain, layers) if is_width(name) else {name: domain}
        return replace(space, parameters=parameters)

    def _restricted(self, name: str, domain: Domain, layers: Sequence[str]) -> dict[str, Domain]:
        kinds = sorted({kind_of(width) for width in layer_widths(name, layers)}, reverse=True)
        found: dict[str, Domain] = {}
        for kind in kinds:
            values = tuple(v for v in domain.finite() or () if v in self.allowed(kind))
            if not values:
                what = {"w_bits": "weights", "a_bits": "inputs of layers"}[kind]
                raise UserError(
                    f"target {self.name} takes {what} of {_listed(self.allowed(kind))} bits, and {name} is "
                    f"{_listed(domain.finite() or ())}; add one of those to the space"
                )
            found[kind + name.removeprefix(kind_of(name))] = Choice(values=values, when=domain.when)
        same = len({choice.finite() for choice in found.values()}) == 1
        return {name: next(iter(found.values()))} if same else found


def target_names() -> tuple[str, ...]:
    """Return the names of the targets that come with the package.

    >>> target_names()
    ('finn', 'npu_w4a8', 'onnxruntime_cpu')
    """
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def load_target(name_or_path: str | Path) -> Target:
    """Read a target: one that comes with the package by its name, or any file whose path ends in .toml.

    Raises:
        UserError: The name is unknown, or the file is missing, no TOML or no target.

    >>> load_target("npu_w4a8").weights
    (4, 8)
    """
    path = expanded(name_or_path)
    if path.suffix != ".toml":
        if str(name_or_path) not in target_names():
            raise unknown("target", str(name_or_path), target_names())
        path = _FOLDER / f"{name_or_path}.toml"
    try:
        document = parse_toml(read_text(path))
    except OSError as error:
        raise UserError(f"cannot read the target file {path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path} is not a TOML file in UTF-8: {error}") from None
    return parse_target(document, path.stem)


def parse_target(document: Mapping[str, Any], name: str) -> Target:
    """Read a target from a parsed TOML document; UserError names what is wrong in it.

    >>> parse_target({"weights": [4, 8]}, "mine")
    Traceback (most recent call last):
    study_common.errors.UserError: target mine: activations is missing; write for instance activations = [8]
    """
    with located(f"target {name}"):
        check_known("key", document, _KEYS)
        for key in ("weights", "activations"):
            if key not in document:
                raise UserError(f"{key} is missing; write for instance {key} = [8]")
        lists = {
            key: as_tuple(key, document.get(key, []))
            for key in ("weights", "activations", "sources", "formats")
        }
        settings, description = document.get("settings", {}), document.get("description", "")
        zero_points = document.get("zero_points", True)
        if not isinstance(zero_points, bool):
            raise UserError(f"zero_points must be true or false, not {zero_points!r}")
        if not isinstance(settings, Mapping) or not all(map(is_scalar, settings.values())):
            raise UserError("[settings] must be names and plain values")
        if not isinstance(description, str):
            raise UserError(f"description must be a string, not {description!r}")
        return Target(
            name=name, description=description, zero_points=zero_points, settings=dict(settings), **lists
        )


def _listed(values: Sequence[object]) -> str:
    return " or ".join(map(str, values))
