"""Bit-widths of layers: the names that carry them, the widths there are, and rules for groups of layers.

A width is named "bits.<layer>" (weights and input of the layer), "w_bits.<layer>" (its weights) or
"a_bits.<layer>" (its input). <layer> may be a glob; a bare "bits" means every layer.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from search_spaces.domains import Choice, as_tuple
from study_common.errors import UserError, check_known, unknown

KINDS = ("bits", "w_bits", "a_bits")
WIDTHS = (2, 3, 4, 6, 8, 32)
"""The bit-widths a layer can have; 32 leaves it untouched."""


@dataclass(frozen=True, kw_only=True)
class BitGroup:
    """A width for each layer that matches one of the globs `layers`, or a single one for all if `shared`."""

    kind: str
    layers: tuple[str, ...]
    values: tuple[int, ...]
    shared: bool = False

    def __post_init__(self) -> None:
        assert self.kind in KINDS
        check_widths(self.values)
        Choice(values=self.values)  # at least one, each once
        if not self.layers or not all(isinstance(glob, str) and glob for glob in self.layers):
            raise UserError('layers must be a name or a glob such as "*", or a list of them')
        if not isinstance(self.shared, bool):
            raise UserError(f"shared must be true or false, not {self.shared!r}")
        if self.shared and len(self.layers) > 1:
            raise UserError(
                f"shared takes one glob, not {len(self.layers)}; write a [[{self.kind}]] table for each"
            )

    def names(self, layers: Sequence[str]) -> list[str]:
        """Return the names of this group's parameters in a model with these `layers`, in the model's order.

        >>> BitGroup(kind="w_bits", layers=("conv*",), values=(2, 4)).names(["conv1", "conv2", "fc"])
        ['w_bits.conv1', 'w_bits.conv2']
        """
        matched = {layer for glob in self.layers for layer in matching_layers(f"{self.kind}.{glob}", layers)}
        if self.shared:
            return [self.kind if self.layers == ("*",) else f"{self.kind}.{self.layers[0]}"]
        return [f"{self.kind}.{layer}" for layer in layers if layer in matched]

    def to_document(self) -> dict[str, Any]:
        """Return the TOML table that `parse_group` reads back as this group."""
        layers = self.layers[0] if len(self.layers) == 1 else list(self.layers)
        return {"layers": layers, "values": list(self.values)} | ({"shared": True} if self.shared else {})


def parse_group(kind: str, table: object) -> BitGroup:
    """Read one [bits], [w_bits] or [a_bits] table of a space file; `kind` is its name."""
    if not isinstance(table, Mapping):
        raise UserError('it must be a table such as { layers = "*", values = [2, 4, 8] }')
    check_known("key", table, ("layers", "values", "shared"))
    for key in ("layers", "values"):
        if key not in table:
            raise UserError(f'{key} is missing; write for instance layers = "*" and values = [2, 4, 8]')
    layers = table["layers"]
    return BitGroup(
        kind=kind,
        layers=(layers,) if isinstance(layers, str) else as_tuple("layers", layers),
        values=as_tuple("values", table["values"]),
        shared=table.get("shared", False),
    )


def check_widths(values: Iterable[object]) -> None:
    """Raise UserError if one of `values` is not a bit-width."""
    for value in values:
        if type(value) is not int or value not in WIDTHS:
            raise UserError(f"{value!r} is not a valid bit-width; choose from {', '.join(map(str, WIDTHS))}")


def is_width(name: str) -> bool:
    """Tell whether the parameter called `name` is a bit-width.

    >>> is_width("bits"), is_width("w_bits.layer1.0.conv1"), is_width("lambda1")
    (True, True, False)
    """
    return kind_of(name) in KINDS


def kind_of(name: str) -> str:
    """Return what a width is of: "bits", "w_bits" or "a_bits"; of another parameter its name up to a dot.

    >>> kind_of("w_bits.conv*")
    'w_bits'
    """
    return name.partition(".")[0]


def matching_layers(name: str, layers: Sequence[str]) -> list[str]:
    """Return those of a model's `layers`, in its order, that have the width `name`.

    The input of the first layer is the 8-bit image: "a_bits" is for the others.

    Raises:
        UserError: None is left; the message names the nearest layer for a name or glob that the model does not have.

    >>> matching_layers("a_bits.conv*", ["conv1", "conv2", "fc"])
    ['conv2']
    """
    kind, _, glob = name.partition(".")
    matching = [layer for layer in layers if fnmatchcase(layer, glob or "*")]
    if not matching:
        raise unknown("layer", glob, layers)
    if kind == "a_bits" and not (matching := [layer for layer in matching if layer != layers[0]]):
        raise UserError(
            f"{name} sets nothing: the input of the first layer, {layers[0]}, is the 8-bit image; leave it out"
        )
    return matching


def layer_widths(name: str, layers: Sequence[str]) -> set[str]:
    """Return the names of the single widths that the width `name` sets in a model with these `layers`.

    Raises:
        UserError: As `matching_layers`.

    >>> sorted(layer_widths("bits", ["conv1", "fc"]))
    ['a_bits.fc', 'w_bits.conv1', 'w_bits.fc']
    """
    kinds = ("w_bits", "a_bits") if kind_of(name) == "bits" else (kind_of(name),)
    matching = matching_layers(name, layers)
    return {f"{kind}.{layer}" for kind in kinds for layer in matching} - {f"a_bits.{layers[0]}"}


def owners(names: Iterable[str], layers: Sequence[str]) -> dict[str, str]:
    """Return for each width of a single layer the most specific of `names` that sets it.

    "w_bits" and "a_bits" go before "bits", then a name for fewer layers before one for more.

    >>> owners(["w_bits", "bits.conv1", "bits"], ["conv1", "fc"]) == {
    ...     "w_bits.conv1": "w_bits", "w_bits.fc": "w_bits", "a_bits.fc": "bits"}
    True
    """
    sets = {name: layer_widths(name, layers) for name in names}

    def specificity(name: str) -> tuple[bool, int, bool]:
        layer = name.partition(".")[2]
        return kind_of(name) != "bits", -len(sets[name]), layer in layers

    return {width: name for name in sorted(sets, key=specificity) for width in sets[name]}


def covers(general: str, name: str) -> bool:
    """Tell whether setting the parameter `general` also sets all that the parameter `name` does.

    >>> covers("bits.conv*", "bits.conv1"), covers("bits", "w_bits.conv1"), covers("bits.conv1", "bits")
    (True, True, False)
    """
    kind, _, glob = general.partition(".")
    own, _, layer = name.partition(".")
    return general == name or (own in KINDS and kind in ("bits", own) and fnmatchcase(layer, glob or "*"))
