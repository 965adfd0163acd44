"""A search space: what a study may vary, as plain data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from search_spaces.bits import KINDS, BitGroup, check_widths, covers, is_width, kind_of, layer_widths, owners
from search_spaces.domains import Choice, Domain, Scalar, is_scalar
from study_common.errors import UserError, located

Point = Mapping[str, Any]
"""The values of one configuration, each a `Scalar`, by flat name."""


@dataclass(frozen=True, kw_only=True)
class Space:
    """What may vary: `parameters` and `bits` of layers, or the listed `points`; all other values are `fixed`.

    Names are those of a trial's configuration, bit-widths as "bits.conv1". Parameters keep the order of the
    file. A condition (`when`) may name a parameter of the space that stands above it. A condition on any other
    name is decided by `fixed`, or by `settle` once the defaults are known.
    """

    name: str
    description: str = ""
    parameters: dict[str, Domain] = field(default_factory=dict)
    bits: tuple[BitGroup, ...] = ()
    fixed: dict[str, Scalar] = field(default_factory=dict)
    points: tuple[Point, ...] = ()

    def __post_init__(self) -> None:
        if self.points and (self.parameters or self.bits):
            raise UserError("[[points]] list every configuration; leave out [parameters] and [bits]")
        for name, domain in self.parameters.items():
            with located(f"parameter {name}"):
                if is_width(name):
                    check_widths(domain.finite() or ["a range of floats"])
                self._check_when(name, domain)
        with located("[fixed]"):
            _check_point(self.fixed)
        for number, point in enumerate(self.points, start=1):
            with located(f"[[points]] number {number}"):
                _check_point(point)
                if point.keys() != self.points[0].keys():
                    odd = sorted(point.keys() ^ self.points[0].keys())[0]
                    raise UserError(f"every point must set the same names; {odd} is not set in all of them")
                if point in self.points[: number - 1]:
                    raise UserError("it repeats an earlier point; list each once")
        for name in (*self.parameters, *(self.points[0] if self.points else ())):
            if name in self.fixed:
                raise UserError(f"{name} is both varied and in [fixed]; leave it out of one")

    def _check_when(self, name: str, domain: Domain) -> None:
        above = list(self.parameters)[: list(self.parameters).index(name)]
        for parent, values in (domain.when or {}).items():
            if parent not in self.parameters:
                continue
            if parent not in above:
                raise UserError(f"its condition names {parent}, which must stand above it")
            for value in values:
                if value not in self.parameters[parent]:
                    raise UserError(f"its condition asks for {parent} = {value!r}, which {parent} never is")

    def names(self) -> tuple[str, ...]:
        """Return each name that the space sets or that a condition names; `[bits]` groups are left out."""
        conditions = (name for domain in self.parameters.values() for name in domain.when or {})
        point = self.points[0] if self.points else ()
        return tuple(dict.fromkeys((*self.parameters, *point, *self.fixed, *conditions)))

    def widths(self) -> dict[str, tuple[int, ...]]:
        """Return the values of each bit-width that varies, by its name; none in a space that lists its points."""
        found = {name: d.finite() or () for name, d in self.parameters.items() if is_width(name)}
        return {name: tuple(int(value) for value in values) for name, values in found.items()}

    def active(self, name: str, values: Mapping[str, Scalar]) -> bool:
        """Tell whether the parameter `name` is active, given the `values` of others and the fixed ones."""
        when = self.parameters[name].when or {}
        return all(values.get(parent, self.fixed.get(parent)) in allowed for parent, allowed in when.items())

    def fix(self, values: Mapping[str, Scalar]) -> "Space":
        """Return the space in which every trial has `values`: what they set no longer varies.

        "bits" fixes both widths of every layer, "w_bits.conv*" those of the weights that match.
        """
        points = [{name: v for name, v in p.items() if not _is_set(name, values)} for p in self.points]
        return replace(
            self,
            parameters={name: d for name, d in self.parameters.items() if not _is_set(name, values)},
            bits=tuple(group for group in self.bits if not _is_set(group.kind, values)),
            fixed={**self.fixed, **values},
            points=tuple(point for n, point in enumerate(points) if point and point not in points[:n]),
        ).settle({})

    def settle(self, defaults: Mapping[str, Scalar]) -> "Space":
        """Return the space with the conditions on names it does not vary decided by `fixed` and `defaults`.

        A condition that is met is left out; so is a parameter whose condition is not met, with all that depend on
        it; a condition on a name that neither knows stays.
        """
        known = {n: v for n, v in {**defaults, **self.fixed}.items() if n not in self.parameters}
        parameters: dict[str, Domain] = {}
        dropped: set[str] = set()
        for name, domain in self.parameters.items():
            when = domain.when or {}
            if any(n in dropped or (n in known and known[n] not in allowed) for n, allowed in when.items()):
                dropped.add(name)
            else:
                undecided = {n: allowed for n, allowed in when.items() if n not in known}
                parameters[name] = replace(domain, when=undecided or None)
        return replace(self, parameters=parameters)

    def resolve(self, layers: Sequence[str]) -> "Space":
        """Return the space for a model with these `layers`: groups of bits become Choice parameters.

        A layer with a width of its own, fixed or a parameter or from an earlier group of the kind, keeps that;
        a bare "bits" is for the layers that nothing else names, and is left out if there are none.

        Raises:
            UserError: A layer or glob that the model does not have, with the nearest name; "a_bits" of the first layer,
                whose input is the image; or a width that two names set of which neither is the more specific.
        """
        for name in filter(is_width, self.names()):
            layer_widths(name, layers)
        parameters = dict(self.parameters)
        for group in self.bits:
            taken = self._taken_widths(group.kind, parameters, layers)
            for name in group.names(layers):
                if not layer_widths(name, layers) <= taken:
                    parameters.setdefault(name, Choice(values=group.values))
        setters = self._setters(parameters, layers)
        kept = {
            name: domain
            for name, domain in parameters.items()
            if not is_width(name) or domain.when or name in setters
        }
        return replace(self, parameters=kept, bits=())

    def _taken_widths(self, kind: str, parameters: Iterable[str], layers: Sequence[str]) -> set[str]:
        """Return the widths of layers that a new group of this kind leaves alone: a name for some layers sets them."""
        names = [name for name in parameters if kind_of(name) == kind] + list(filter(is_width, self.fixed))
        return {width for name in names if name not in KINDS for width in layer_widths(name, layers)}

    def _setters(self, parameters: Mapping[str, Domain], layers: Sequence[str]) -> set[str]:
        """Return the names that set the width of a layer, whatever the value of another parameter.

        Raises:
            UserError: Two names set the same width and neither is the more specific.
        """
        always = [name for name, domain in parameters.items() if not domain.when]
        varied = set(filter(is_width, (*always, *(self.points[0] if self.points else ()))))
        names = [*filter(is_width, self.fixed), *sorted(varied)]
        sets = {name: layer_widths(name, layers) for name in names}
        setter = owners(names, layers)
        for name in names:
            for width in sorted(sets[name]):
                winner = setter[width]
                alike = name in self.fixed or kind_of(name) == kind_of(winner)
                is_special_case = sets[winner] <= sets[name]
                if winner in varied and alike and not is_special_case:
                    raise UserError(f"{name} and {winner} both set {width}; give {width} a value of its own")
        return set(setter.values())

    def size(self) -> int | None:
        """Return how many different configurations there are, or None if a range of floats varies.

        The time is that of listing the combinations of the parameters that others depend on.
        """
        assert not self.bits, "resolve(layers) comes first"
        if self.points:
            return len(self.points)
        counts = {name: domain.finite() for name, domain in self.parameters.items()}
        if None in counts.values():
            return None
        parents = {parent for domain in self.parameters.values() for parent in domain.when or {}}
        heads = [name for name in self.parameters if name in parents]
        rest = [name for name in self.parameters if name not in parents]
        return sum(
            prod(len(counts[name] or ()) for name in rest if self.active(name, head))
            for head in self.combinations(heads)
        )

    def grid(self) -> Iterator[dict[str, Any]]:
        """Yield every configuration of a finite space, in order, the last parameter varying fastest.

        Only the varied names are in a configuration.

        Raises:
            UserError: A range of floats is among the parameters.
        """
        assert not self.bits, "resolve(layers) comes first"
        self.check_finite()
        return iter(map(dict, self.points)) if self.points else self.combinations(list(self.parameters))

    def check_finite(self) -> None:
        """Raise UserError, naming the parameter, if one has infinitely many values."""
        for name, domain in self.parameters.items():
            if domain.finite() is None:
                raise UserError(f"a grid needs finitely many values; make {name} a choice")

    def combinations(
        self, names: Sequence[str], values: Mapping[str, Scalar] | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield every combination of the finite parameters `names` beside `values`, the last varying fastest.

        A parameter comes after those that its condition names; where it is not active, it is left out.
        """
        values = values or {}
        if not names:
            yield dict(values)
            return
        name, rest = names[0], names[1:]
        if not self.active(name, values):
            yield from self.combinations(rest, values)
            return
        for value in self.parameters[name].finite() or ():
            yield from self.combinations(rest, {**values, name: value})

    def __contains__(self, values: object) -> bool:
        """Tell whether `values` is one configuration: exactly the active names, each in its domain."""
        if not isinstance(values, Mapping):
            return False
        if self.points:
            return dict(values) in self.points
        active = {name for name in self.parameters if self.active(name, values)}
        return values.keys() == active and all(values[name] in self.parameters[name] for name in active)

    def to_document(self) -> dict[str, Any]:
        """Return the space as a TOML document, which `parse` reads back as an equal space."""
        document: dict[str, Any] = {"description": self.description}
        if self.fixed:
            document["fixed"] = dict(self.fixed)
        if self.parameters:
            document["parameters"] = {name: domain.to_document() for name, domain in self.parameters.items()}
        for group in self.bits:
            document.setdefault(group.kind, []).append(group.to_document())
        if self.points:
            document["points"] = [dict(point) for point in self.points]
        return document


def _check_point(point: Point) -> None:
    for name, value in point.items():
        if not is_scalar(value):
            raise UserError(f"{name} must be a finite number, a string or a boolean, not {value!r}")
        if is_width(name):
            check_widths([value])


def _is_set(name: str, values: Iterable[str]) -> bool:
    return any(covers(general, name) for general in values)
