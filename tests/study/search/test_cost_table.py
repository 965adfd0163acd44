"""Costs of widths that are looked up: equal to those of a configuration, and widths that keep a bound are found."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import trainables
from study.search.cost_table import CostTable
from trainables import Config

BOUNDS = {"bops": 0.0, "size_bytes": 0.0}
FIXED: dict[str, dict[str, Any]] = {
    "one width per layer": {},
    "affine": {"weight_quantiser": "affine"},
    "of weights alone": {"a_bits": 8},
    "beside others": {"bits": 4, "w_bits.fc*": 3},
}
WIDTHS = (2, 3, 8, 32)
NAMES = {
    "one width per layer": ["bits.conv1", "bits.conv2", "bits.fc1", "bits.fc2"],
    "affine": ["w_bits.conv1", "w_bits.conv2", "a_bits.conv2", "bits.fc1", "a_bits.fc2"],
    "of weights alone": ["w_bits.conv*", "w_bits.fc1"],
    "beside others": ["bits.conv*", "w_bits.conv2", "a_bits.fc2"],
}


def table_of(
    domains: Mapping[str, tuple[int, ...]], fixed: Mapping[str, Any], bounds: Mapping[str, float] = BOUNDS
) -> CostTable:
    return CostTable.measure(lambda widths: Config.parse({**fixed, **widths}), domains, bounds)


def exact(fixed: Mapping[str, Any], widths: Mapping[str, int]) -> tuple[float, ...]:
    costs = trainables.costs(Config.parse({**fixed, **widths}))
    return tuple(costs[name] for name in BOUNDS)


@pytest.mark.parametrize("case", FIXED)
def test_a_table_costs_what_the_configuration_does(case: str) -> None:
    names, fixed = NAMES[case], FIXED[case]
    table = table_of(dict.fromkeys(names, WIDTHS), fixed)
    for values in itertools.islice(itertools.product(WIDTHS, repeat=len(names)), 0, None, 3):
        widths = dict(zip(names, values, strict=True))
        assert table.costs(widths) == exact(fixed, widths)


@pytest.fixture(scope="module")
def many_layers(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Iterator[dict[str, Any]]:
    """Settings of a network of 54 layers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield {"dataset": "folder", "data_dir": str(stripes), "model": "mobilenet_v3_small", "image_size": 64}


def every_layer(
    fixed: Mapping[str, Any], widths: tuple[int, ...] = (2, 3, 4, 6, 8)
) -> dict[str, tuple[int, ...]]:
    return {f"bits.{layer}": widths for layer in trainables.layers(Config.parse(fixed))}


def test_the_table_of_a_deep_network_is_exact_too(many_layers: dict[str, Any]) -> None:
    domains, random = every_layer(many_layers), np.random.default_rng(0)
    assert len(domains) > 50
    table = table_of(domains, many_layers)
    for _ in range(20):
        widths = {name: int(random.choice(values)) for name, values in domains.items()}
        assert table.costs(widths) == exact(many_layers, widths)


SMALL = table_of(dict.fromkeys(NAMES["one width per layer"], (2, 4, 8)), {})
ALL = [dict(zip(SMALL.domains, v, strict=True)) for v in itertools.product((2, 4, 8), repeat=4)]
COSTS = [exact({}, widths) for widths in ALL]


@given(bops=st.sampled_from([c[0] for c in COSTS]), size=st.sampled_from([c[1] for c in COSTS]))
def test_all_widths_that_keep_the_bounds_are_listed_once(bops: float, size: float) -> None:
    table = replace(SMALL, bounds=(bops, size))
    expected = [w for w, cost in zip(ALL, COSTS, strict=True) if cost[0] <= bops and cost[1] <= size]
    assert sorted(map(str, table.points())) == sorted(map(str, expected))


@given(
    widths=st.sampled_from(ALL),
    bops=st.sampled_from([c[0] for c in COSTS]),
    size=st.sampled_from([c[1] for c in COSTS]),
    seed=st.integers(0, 9),
)
def test_a_projection_keeps_the_bounds_and_is_no_wider(
    widths: dict[str, int], bops: float, size: float, seed: int
) -> None:
    table = replace(SMALL, bounds=(bops, size))
    found = table.project(widths, np.random.default_rng(seed))
    if found is None:
        assert not any(map(table.fits, ALL))
        return
    assert table.fits(found)
    assert all(found[name] <= width for name, width in widths.items())
    assert not table.fits(widths) or found == widths


@pytest.mark.parametrize("share", [1.0, 1.01, 1.2, 3.0])
def test_what_a_deep_network_wants_is_projected_onto_the_bound(
    share: float, many_layers: dict[str, Any]
) -> None:
    domains, random = every_layer(many_layers), np.random.default_rng(0)
    table = table_of(domains, many_layers, {"bops": 0.0})
    bound = share * table.least[0]
    table = replace(table, bounds=(bound,))
    costs = []
    for _ in range(50):
        widths = {name: int(random.choice(values)) for name, values in domains.items()}
        found = table.project(widths, random)
        assert found
        costs.append(exact(many_layers, found)[0])
        assert costs[-1] <= bound
    assert len(set(costs)) > 25 or share == 1.0, "not all at the bound"


def test_the_few_widths_that_a_tight_bound_leaves_a_deep_network_are_listed(
    many_layers: dict[str, Any],
) -> None:
    """Of 5 ** 54 those which widen at most two layers fit."""
    table = table_of(every_layer(many_layers), many_layers, {"bops": 0.0})
    cheapest = dict.fromkeys(table.domains, 2)
    steps = {
        (name, width): table.costs({**cheapest, name: width})[0] - table.least[0]
        for name in table.domains
        for width in (3, 4, 6, 8)
    }
    budget = 2.5 * min(steps.values())
    single = [step for step, cost in steps.items() if cost <= budget]
    double = [
        (a, b) for a, b in itertools.combinations(single, 2) if a[0] != b[0] and steps[a] + steps[b] <= budget
    ]
    found = list(replace(table, bounds=(table.least[0] + budget,)).points())
    assert len(found) == 1 + len(single) + len(double)
    assert all(sum(width > 2 for width in widths.values()) <= 2 for widths in found)
