"""The feasible part of a space, against brute force: also where parameters decide which widths there are."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import search_spaces
import trainables
from study.search.feasible import FeasibleSpace
from study.search.proposals import make_proposals
from study.store.options import SAMPLERS
from study.store.request import Request
from study_common.errors import UserError

RequestOf = Callable[..., Request]
LAYERS = ["conv1", "conv2", "fc1", "fc2"]
WIDTH = {"type": "choice", "values": [8, 2, 4]}
SPACES: dict[str, dict[str, Any]] = {
    "widths": {f"bits.{layer}": WIDTH for layer in LAYERS},
    "a width with a condition": {
        "mask": {"type": "choice", "values": ["ratio", "threshold"]},
        "gamma": {"type": "choice", "values": [0.1, 0.2], "when": {"mask": ["threshold"]}},
        "bits.conv*": WIDTH,
        "bits.conv2": WIDTH | {"when": {"mask": ["threshold"]}},
        "bits.fc*": WIDTH,
    },
    "a width that others depend on": {
        "bits.conv2": WIDTH,
        "alpha_init": {"type": "choice", "values": [1.0, 2.0], "when": {"bits.conv2": [8]}},
        "bits.fc1": WIDTH | {"when": {"bits.conv2": [2, 4]}},
        "bits": WIDTH,
    },
    "the quantiser": {
        "weight_quantiser": {"type": "choice", "values": ["lsq", "affine"]},
        "w_bits": {"type": "int", "low": 2, "high": 4},
        "a_bits.fc*": WIDTH,
    },
}


def constrained(request: Request, parameters: dict[str, Any], **bounds: float) -> FeasibleSpace:
    space = search_spaces.parse({"parameters": parameters}, "mine").resolve(LAYERS)
    return FeasibleSpace.of(replace(request, space=space, constraints=bounds))


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize("name", SPACES)
def test_what_is_feasible_is_what_the_costs_say(name: str, share: float, request_of: RequestOf) -> None:
    base = request_of()
    grid = list(search_spaces.parse({"parameters": SPACES[name]}, "mine").resolve(LAYERS).grid())
    costs = [trainables.costs(base.config(point)) for point in grid]
    bounds = {cost: np.quantile([each[cost] for each in costs], share) for cost in ("bops", "size_bytes")}
    space = constrained(base, SPACES[name], **bounds)
    expected = [
        point
        for point, cost in zip(grid, costs, strict=True)
        if all(cost[each] <= bound for each, bound in bounds.items())
    ]
    assert [point for point in grid if point in space] == expected
    assert sorted(map(str, space.points())) == sorted(map(str, expected))
    random = np.random.default_rng(0)
    projected = [space.project(point, random) for point in grid]
    assert all(point is None or point in expected for point in projected)
    assert all(found == point for point, found in zip(grid, projected, strict=True) if point in expected)


def test_without_constraints_all_is_feasible(request_of: RequestOf) -> None:
    space = FeasibleSpace.of(request_of())
    point = {"lambda1": 1.0}
    assert point in space
    assert space.project(point, np.random.default_rng(0)) == point
    with pytest.raises(UserError, match="make lambda1 a choice"):
        next(space.points())


def test_listed_points_are_filtered(request_of: RequestOf) -> None:
    request = request_of(space="paper_table_ii", max_bops=2e8)
    space = FeasibleSpace.of(request)
    assert list(space.points()) == list(filter(request.is_feasible, request.space.points))
    assert 0 < len(list(space.points())) < 5


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory, stripes: Path) -> Iterator[dict[str, Any]]:
    """What a study of resnet18 is asked for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        fixed = {"image_size": 64, "batch_size": 16}
        yield {
            "space": "kvasir_mixed_bits", "dataset": "folder", "data_dir": str(stripes), "model": "resnet18",
            "fixed": fixed,
        }  # fmt: skip


@pytest.mark.parametrize("share", [1.01, 1.2, 2.0, 3.0])
@pytest.mark.parametrize("sampler", [name for name in SAMPLERS if name not in ("grid", "gp")])
def test_a_study_of_resnet18_gets_its_thirty_trials(
    sampler: str, share: float, deep: dict[str, Any], request_of: RequestOf
) -> None:
    """Where one in a million configurations is feasible."""
    request = request_of(**deep, sampler=sampler)
    cheapest = trainables.costs(request.config(request.queue[0]))["bops"]
    proposals = make_proposals(replace(request, constraints={"bops": share * cheapest}), queue=request.queue)
    came: list[dict[str, Any]] = []
    for _ in range(30):
        point = proposals.next()
        assert point
        assert point not in came
        assert trainables.costs(request.config(point))["bops"] <= share * cheapest
        came.append(point)
        proposals.measure(point, 9, [sum(map(float, point.values())) / 1e3, point["mask_ratio"], 0.5])
        proposals.end(point)
