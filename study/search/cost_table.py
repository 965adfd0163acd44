"""Costs of configurations that differ in widths only: looked up as sums over layers, since a `Config` is slow to make.

A table holds the cost of each layer at each of its widths, measured once with `trainables.costs`. That is a sum over
layers too, so the sums are exact. The table tells which widths keep the bounds, and finds some that do.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product

import numpy as np

import trainables
from trainables import Config

Costs = tuple[float, ...]
"""One number per bound."""
Widths = Mapping[str, int]
"""Values of the parameters that are bit-widths, by name."""


@dataclass(frozen=True)
class Layer:
    """A layer whose weights or input have a width that varies."""

    weight_name: str
    """The parameter that sets the width of its weights; "": it is always `weight_width`."""
    weight_width: int
    input_name: str
    input_width: int
    costs: Mapping[tuple[int, int], Costs]
    """What it adds to the costs for each possible pair of widths (weights, input)."""

    def at(self, widths: Widths) -> Costs:
        """Return what it costs at `widths`."""
        return self.costs[
            widths.get(self.weight_name, self.weight_width),
            widths.get(self.input_name, self.input_width),
        ]

    def least(self, widths: Widths) -> Costs:
        """Return its least possible cost, for each bound separately, given the `widths` known so far."""
        possible = [
            cost
            for (weights, inputs), cost in self.costs.items()
            if weights == widths.get(self.weight_name, weights)
            and inputs == widths.get(self.input_name, inputs)
        ]
        return tuple(map(min, zip(*possible, strict=True)))


@dataclass(frozen=True)
class CostTable:
    """The costs of all configurations whose bit-widths are in `domains` and whose other values are equal."""

    domains: Mapping[str, Sequence[int]]
    """The possible widths, ascending."""
    layers: Sequence[Layer]
    others: Costs
    """The cost of the configuration with the least widths, to which `layers` add the differences."""
    bounds: Costs
    _layers_of: dict[str, list[Layer]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        of = {
            name: [layer for layer in self.layers if name in (layer.weight_name, layer.input_name)]
            for name in self.domains
        }
        object.__setattr__(self, "_layers_of", of)

    @classmethod
    def measure(
        cls,
        config: Callable[[Widths], Config],
        domains: Mapping[str, Sequence[int]],
        bounds: Mapping[str, float],
    ) -> "CostTable":
        """Measure a table.

        Args:
            config: The configuration with the given widths; each sets the width of some layers to its value.
            domains: The possible values of each, in any order.
            bounds: The bound of each cost, by its name.
        """
        domains = {name: sorted(values) for name, values in domains.items()}
        least = {name: values[0] for name, values in domains.items()}
        base = config(least)
        setters: dict[tuple[str, str], str] = {}
        for name, values in domains.items():
            if len(values) > 1:
                other = config({**least, name: values[-1]})
                for kind in ("w_bits", "a_bits"):
                    was, now = getattr(base, kind), getattr(other, kind)
                    setters |= {(kind, layer): name for layer in now if now[layer] != was[layer]}

        def costs(of: Config) -> Costs:
            found = trainables.costs(of)
            return tuple(found[name] for name in bounds)

        others, layers = costs(base), []
        for layer in dict.fromkeys(layer for _, layer in setters):
            weight_name, input_name = (setters.get((kind, layer), "") for kind in ("w_bits", "a_bits"))
            width = base.w_bits[layer], base.a_bits.get(layer, 0)  # the first layer's input has no width
            weights, inputs = domains.get(weight_name, width[:1]), domains.get(input_name, width[1:])
            pairs = (
                zip(weights, inputs, strict=True) if weight_name == input_name else product(weights, inputs)
            )
            adds = {pair: _minus(costs(_with_widths(base, layer, *pair)), others) for pair in pairs}
            layers.append(Layer(weight_name, width[0], input_name, width[1], adds))
        return cls(domains, layers, others, tuple(bounds.values()))

    def costs(self, widths: Widths) -> Costs:
        """Return the costs of the configuration with these `widths`."""
        return _sum([self.others, *(layer.at(widths) for layer in self.layers)])

    def fits(self, widths: Widths) -> bool:
        """Tell whether the configuration with these `widths` keeps the bounds."""
        return _fits(self.costs(widths), self.bounds)

    def project(self, widths: Widths, random: np.random.Generator) -> dict[str, int] | None:
        """Return `widths`, or, if they break a bound, widths that are not wider and keep it; None if there are none.

        The search starts from the cheapest widths and widens one after the other, in random order, as far towards
        `widths` as the bounds allow. If `widths` are far beyond a bound, tighter bounds are drawn at random between the
        cheapest cost and the bounds, so that not all results lie at a bound.
        """
        wanted = self.costs(widths)
        if _fits(wanted, self.bounds):
            return {name: widths[name] for name in self.domains}
        found = {name: values[0] for name, values in self.domains.items()}
        cheapest = spent = self.costs(found)
        if not _fits(cheapest, self.bounds):
            return next(self.points(), None)  # the narrowest widths may cost a few bytes more than others
        bounds = self.bounds
        if any(cost > 2 * bound - least for cost, bound, least in zip(wanted, bounds, cheapest, strict=True)):
            share = random.random()
            bounds = tuple(
                least + share * (bound - least) for bound, least in zip(bounds, cheapest, strict=True)
            )
        names = list(self.domains)
        for place in random.permutation(len(names)):
            name = names[place]
            others = _minus(spent, self._costs_of(name, found))
            for width in reversed([w for w in self.domains[name] if w <= widths[name]]):
                found[name] = width
                spent = _plus(others, self._costs_of(name, found))
                if _fits(spent, bounds):  # at the latest at the least width
                    break
        return found

    def points(self) -> Iterator[dict[str, int]]:
        """Yield all widths that keep the bounds, the narrowest first; the time per result is O(layers)."""
        names, zero = list(self.domains), (0,) * len(self.bounds)

        def complete(known: dict[str, int], least: Costs) -> Iterator[dict[str, int]]:
            if not _fits(least, self.bounds):
                return
            if len(known) == len(names):
                yield known
                return
            name = names[len(known)]
            others = _minus(least, _sum([zero, *(layer.least(known) for layer in self._layers_of[name])]))
            for width in self.domains[name]:
                more = {**known, name: width}
                added = _sum([zero, *(layer.least(more) for layer in self._layers_of[name])])
                yield from complete(more, _plus(others, added))

        return complete({}, self.least)

    @cached_property
    def least(self) -> Costs:
        """The least cost of any configuration, for each bound separately."""
        return _sum([self.others, *(layer.least({}) for layer in self.layers)])

    def _costs_of(self, name: str, widths: Widths) -> Costs:
        """Return what those layers add whose width is set by `name`."""
        return _sum([(0,) * len(self.bounds), *(layer.at(widths) for layer in self._layers_of[name])])


def _with_widths(config: Config, layer: str, weights: int, inputs: int) -> Config:
    a_bits = {**config.a_bits, layer: inputs} if inputs else config.a_bits
    return replace(config, w_bits={**config.w_bits, layer: weights}, a_bits=a_bits)


def _fits(costs: Costs, bounds: Costs) -> bool:
    return all(cost <= bound for cost, bound in zip(costs, bounds, strict=True))


def _sum(several: Sequence[Costs]) -> Costs:
    return tuple(map(sum, zip(*several, strict=True)))


def _plus(a: Costs, b: Costs) -> Costs:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _minus(a: Costs, b: Costs) -> Costs:
    return tuple(x - y for x, y in zip(a, b, strict=True))
