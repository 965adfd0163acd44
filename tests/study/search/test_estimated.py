"""Which configurations are estimated, and which of them are tried."""

from collections.abc import Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest

import trainables
from study.search import estimated
from study.search.encoding import identity
from study.search.estimated import Estimable, promising
from study.store.request import Request

RequestOf = Callable[..., Request]
ALPHA = {"alpha_init": 3.0}
"""Fixed, so that widths alone are estimated."""


def gains_of(points: list[dict[str, int]]) -> np.ndarray:
    """Bits of fc1 help in one objective, those of the other layers cost in the other."""
    found = [(p["bits.fc1"] / 8, 1 - (sum(p.values()) - p["bits.fc1"]) / 24) for p in points]
    return np.array(found, dtype=float).reshape(len(points), 2)


def test_of_few_widths_all_are_estimated_once(request_of: RequestOf, tmp_path: Path) -> None:
    space = tmp_path / "two.toml"
    space.write_text('[parameters]\nlambda1 = { type = "float", low = 0.1, high = 3.0 }\n'
                     '[bits]\nlayers = ["conv*"]\nvalues = [2, 4, 8]\n')  # fmt: skip
    estimable = Estimable.of(request_of(space=str(space), init="shared"))
    every = [dict(zip(("bits.conv1", "bits.conv2"), w, strict=True)) for w in product((2, 4, 8), repeat=2)]
    found = estimable.next([], np.empty((0, 2)), 0)
    assert sorted(found, key=str) == sorted(every, key=str)
    assert estimable.next(found[:4], np.zeros((4, 2)), 0) == found[4:]
    assert estimable.next(found, np.zeros((9, 2)), 0) == []
    assert estimable.point(found[0]) == {"lambda1": 1.0, **found[0]}


def test_constraints_hold(request_of: RequestOf) -> None:
    bound = 1.2e8
    request = request_of(init="shared", max_bops=bound, fixed=ALPHA)
    found = replace(Estimable.of(request), most=1000).next([], np.empty((0, 3)), 0)
    bops = [trainables.costs(request.config(point))["bops"] for point in found]
    assert max(bops) <= bound
    whole = replace(Estimable.of(request_of(init="shared", fixed=ALPHA)), most=1000).next(
        [], np.empty((0, 3)), 0
    )
    expected = sum(trainables.costs(request.config(point))["bops"] <= bound for point in whole)
    assert 1 < len(found) == expected < len(whole) == 5**4


def test_all_estimates_together_cost_at_most_a_quarter_of_the_shared_training(request_of: RequestOf) -> None:
    request = request_of(init="shared")
    shared = request.start()
    assert shared
    estimable = Estimable.of(request)
    known: list[dict[str, int]] = []
    while batch := estimable.next(known, gains_of(known), 3):
        known += batch
    passes = len(known) * (500 + 50 * 14)
    training = 3 * 4 * shared.epochs * request.data["train"]
    assert 0.22 * training < passes <= 0.25 * training


def test_of_many_widths_rounds_close_in_on_the_front(
    request_of: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(estimated, "ROUNDS", 3)
    estimable = replace(Estimable.of(request_of(init="shared", fixed=ALPHA)), most=300)
    known: list[dict[str, int]] = []
    rounds = []
    while batch := estimable.next(known, gains_of(known), 3):
        assert batch == estimable.next(known, gains_of(known), 3)
        rounds.append(batch)
        known += batch
    assert [len(batch) for batch in rounds] == [100, 100, 100]
    assert len({identity(point) for point in known}) == 300
    least, most = (dict.fromkeys(known[0], bits) for bits in (2, 8))
    assert least in rounds[0]
    assert most in rounds[0]

    front = [{**least, "bits.fc1": bits} for bits in (2, 3, 4, 6, 8)]
    assert all(
        point in known for point in front
    )  # 300 random ones of 625 have all five in a fortieth of cases


def test_alpha_init_is_estimated_too_from_end_to_end(request_of: RequestOf) -> None:
    request = request_of(init="shared")
    estimable = replace(Estimable.of(request), most=300)
    first = estimable.next([], np.empty((0, 2)), 3)
    levels = sorted({point["alpha_init"] for point in first})
    assert levels == pytest.approx([0.5, 10 / 20**0.75, 5**0.5, 3.0, 10 / 20**0.25, 10.0])
    assert all(estimable.point(point) in request.space for point in first)
    assert {**dict.fromkeys(request.space.widths(), 2), "alpha_init": 3.0} in first
    known = first
    while batch := estimable.next(known, np.array([[p["alpha_init"], p["bits.fc1"]] for p in known]), 3):
        known = known + batch
    late = known[len(first) :]
    assert np.mean([p["alpha_init"] for p in late]) > np.mean([p["alpha_init"] for p in first]) + 1
    assert len({identity(point) for point in known}) == len(known) == 300


def test_alphas_that_alpha_init_does_not_decide_are_estimated_as_they_are(
    request_of: RequestOf, tmp_path: Path
) -> None:
    space = tmp_path / "all.toml"
    space.write_text('[bits]\nlayers = "*"\nvalues = [2, 4, 8]\n[parameters]\n'
                     'alpha_init = { type = "float", low = 1.0, high = 9.0 }\n'
                     'alpha_start = { type = "choice", values = ["percentile", "mse"] }\n')  # fmt: skip
    request = request_of(space=str(space), init="shared")
    estimable = Estimable.of(request)
    assert "alpha_init" in estimable.others
    assert "alpha_init" not in estimable.next([], np.empty((0, 2)), 3)[0]


def test_an_alpha_init_of_some_configurations_alone_is_not_estimated(
    request_of: RequestOf, tmp_path: Path
) -> None:
    space = tmp_path / "some.toml"
    space.write_text('[parameters]\n"bits.conv2" = { type = "choice", values = [2, 8] }\n'
                     'alpha_init = { type = "float", low = 1.0, high = 9.0, when = { "bits.conv2" = [8] } }\n'
                     '[bits]\nlayers = ["fc*", "conv1"]\nvalues = [2, 4, 8]\n')  # fmt: skip
    found = Estimable.of(request_of(space=str(space), init="shared")).next([], np.empty((0, 2)), 0)
    assert found
    assert not any("alpha_init" in point for point in found)


def test_the_promising_have_the_most_hypervolume() -> None:
    random = np.random.default_rng(0)
    gains = random.random((30, 2))
    chosen = promising(list(range(30)), gains, 30)

    def area(rows: list[int]) -> float:
        grid = (np.arange(400) + 0.5) / 400
        under = np.zeros((400, 400), dtype=bool)
        for row in rows:
            under |= (grid[:, None] < gains[row, 0]) & (grid < gains[row, 1])
        return float(under.mean())

    assert chosen[0] == max(range(30), key=lambda row: area([row]))
    assert area(chosen) == pytest.approx(area(list(range(30))), abs=1e-9)
    assert area(chosen[:2]) >= max(area([chosen[0], row]) for row in range(30)) - 0.01
    gains[chosen[0]] = np.nan
    assert chosen[0] not in promising(list(range(30)), gains, 30)
