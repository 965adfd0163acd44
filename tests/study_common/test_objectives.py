"""Objectives: what is typed, kept in `study.toml`, and turned into gains of which larger is better."""

import math
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from study_common.errors import UserError
from study_common.objectives import (
    COSTS,
    DEFAULT,
    EXTREME,
    Objective,
    are_finite,
    document,
    gains,
    parse,
    without_volume,
)

FLOAT_COSTS = {"flops": 12e6, "bops": 4e8, "size_bytes": 2e5}
DIRECTIONS = {
    "accuracy": "max", "sensitivity": "max", "specificity": "max", "auroc": "max", "faithfulness": "max",
    "loss": "min", "flops": "min", "bops": "min", "size_bytes": "min",
}  # fmt: skip
CHOSEN = st.lists(st.sampled_from(sorted(DIRECTIONS)), min_size=2, unique=True)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(CHOSEN, st.integers(2, 1000))
def test_what_is_typed_is_read_in_order_and_kept(names: list[str], classes: int) -> None:
    targets = parse(", ".join(f"{name}:{DIRECTIONS[name]}" for name in names), classes, FLOAT_COSTS)
    assert {name: target.direction for name, target in targets.items()} == {n: DIRECTIONS[n] for n in names}
    assert list(targets) == names
    kept = tomllib.loads(tomli_w.dumps(document(targets)))
    assert {name: Objective(**table) for name, table in kept.items()} == targets


@given(CHOSEN, st.integers(2, 1000))
def test_a_gain_is_1_at_the_ideal_and_0_at_the_reference(names: list[str], classes: int) -> None:
    targets = parse(",".join(f"{name}:{DIRECTIONS[name]}" for name in names), classes, FLOAT_COSTS)
    assert gains(targets, {name: target.ideal for name, target in targets.items()}) == (1.0,) * len(names)
    assert gains(targets, {name: target.reference for name, target in targets.items()}) == (0.0,) * len(names)


@given(st.sampled_from(sorted(DIRECTIONS)), FINITE, FINITE)
def test_a_better_value_never_has_a_smaller_gain(name: str, one: float, other: float) -> None:
    targets = {name: parse(_with_a_second(name), 10, FLOAT_COSTS)[name]}
    better, worse = (max(one, other), min(one, other))[:: 1 if DIRECTIONS[name] == "max" else -1]
    assert gains(targets, {name: better}) >= gains(targets, {name: worse})
    assert abs(gains(targets, {name: worse})[0]) <= EXTREME


def _with_a_second(name: str) -> str:
    second = "loss" if name != "loss" else "accuracy"
    return f"{name}:{DIRECTIONS[name]},{second}:{DIRECTIONS[second]}"


def test_the_reference_is_chance_or_the_cost_of_the_float_model() -> None:
    targets = parse("accuracy:max,specificity:max,loss:min,flops:min", 4, FLOAT_COSTS)
    assert [target.reference for target in targets.values()] == [0.25, 0.75, math.log(4), 12e6]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("acuracy:max,flops:min", "unknown objective 'acuracy'; the nearest is 'accuracy'"),
        ("accuracy:min,flops:min", "accuracy is optimised towards max; write accuracy:max"),
        ("accuracy,flops:min", "write accuracy:max"),
        ("accuracy:max,accuracy:max", "the objective accuracy is given twice"),
        ("accuracy:max", "name at least two"),
        ("accuracy:max,,flops:min", f"an objective has no name; write them as {DEFAULT}"),
    ],
)
def test_what_is_no_pair_of_objectives_is_told_with_the_remedy(text: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse(text, 10, FLOAT_COSTS)


def test_a_cost_that_was_not_computed_is_no_objective() -> None:
    with pytest.raises(UserError, match="unknown objective 'flops'"):
        parse(DEFAULT, 10, {})
    assert set(COSTS) <= FLOAT_COSTS.keys()


@pytest.mark.parametrize("missing", [{}, {"flops": math.nan}, {"flops": math.inf}, {"flops": -math.inf}])
def test_what_was_not_measured_has_no_gain_and_is_not_finite(missing: dict[str, float]) -> None:
    targets = parse("accuracy:max,flops:min", 10, FLOAT_COSTS)
    metrics = {"accuracy": 0.5, **missing}
    assert math.isnan(gains(targets, metrics)[1])
    assert not are_finite(targets, metrics)
    assert are_finite(targets, {"accuracy": 0.5, "flops": 1.0, "kl": math.nan}), "kl is no objective"


def test_an_objective_has_volume_once_one_trial_beats_its_reference() -> None:
    targets = parse("accuracy:max,flops:min", 10, {"flops": 100.0})
    bad, good = {"accuracy": 0.1, "flops": 50.0}, {"accuracy": 0.2, "flops": math.nan}
    assert without_volume(targets, [bad]) == ("accuracy",)
    assert without_volume(targets, [bad, good]) == ()
    assert without_volume(targets, []) == (), "nothing is known yet"
