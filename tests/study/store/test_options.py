"""The options: each field is a flag with a help, a rule and a place in `study.toml`."""

import math
import tomllib
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from study.planning.spec import Spec
from study.store.options import (
    INITS,
    SAMPLERS,
    SCHEDULERS,
    SEED,
    SHARE,
    Options,
    check_choices,
    check_rules,
    duration,
    flags,
    typed,
)
from study.store.request import Request
from study_common.errors import UserError

VALUES: dict[str, st.SearchStrategy[Any]] = {
    "trials": st.integers(1, 10**6),
    "replicates": st.integers(0, 100),
    "epochs": st.integers(1, 10**6),
    "time_budget_s": st.floats(0.1) | st.just(math.inf),
    "workers": st.integers(1, 999),
    "gpus_per_trial": st.floats(0, 1) | st.integers(2, 8).map(float),
    "trial_timeout": st.floats(0, 1e9),
    "sampler": st.sampled_from(SAMPLERS),
    "scheduler": st.sampled_from(SCHEDULERS),
    "reduction_factor": st.integers(2, 99),
    "init": st.sampled_from(("", *INITS)),
    "seed": st.integers(0, 2**31 - 1),
    "storage": st.just("postgresql://me@db/studies"),
}


def test_every_field_is_a_flag_with_a_help() -> None:
    assert list(flags(Options)) == [each.name for each in fields(Options)] == list(VALUES)
    names = [typed(name, of) for name, of in flags(Options).items()]
    assert len(set(names)) == len(names)
    for name, of in flags(Options).items():
        assert typed(name, of).startswith("--")
        assert of.help, name


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(given=st.fixed_dictionaries(VALUES))
def test_every_option_comes_back_from_study_toml(
    given: dict[str, Any], request_of: Callable[..., Request]
) -> None:
    check_rules(Options, given)
    check_choices(Options, given)
    kept = tomli_w.dumps(replace(request_of(), **given).document())
    again = Request.from_document(tomllib.loads(kept))
    assert {name: getattr(again, name) for name in given} == given


def test_the_defaults_keep_their_own_rules() -> None:
    for options in (vars(Options()), vars(Spec(space="mixed_bits"))):
        check_rules(Options, options)
        check_choices(Options, options)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"trials": 0}, "--trials is 0; it must be above 0"),
        ({"time_budget_s": -1.0}, "--time-budget is -1; it must be above 0"),
        ({"reduction_factor": 1}, "--reduction-factor is 1; it must be at least 2"),
        ({"gpus_per_trial": math.inf}, "--gpus-per-trial is inf; it must be in 0 to 1, or a whole number"),
        ({"trial_timeout": -0.5}, "--trial-timeout is -0.5; it must be at least 0"),
        ({"seed": 2**31}, r"--seed is .*; it must be in 0 to 2147483647"),
        ({"max_bops": math.nan}, "--max-bops is nan; it must be above 0"),
    ],
)
def test_a_value_that_breaks_its_rule_is_named_as_it_is_typed(given: dict[str, float], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_rules(Spec, vars(Spec(space="mixed_bits", **given)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"sampler": "tpa"}, "unknown sampler 'tpa'; the nearest is 'tpe'"),
        ({"scheduler": "asha"}, "unknown scheduler 'asha'; the nearest is 'pareto_asha'"),
        ({"init": "flaot"}, "unknown init 'flaot'; the nearest is 'float'"),
    ],
)
def test_a_value_that_is_no_choice_names_the_nearest(given: dict[str, str], says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_choices(Options, vars(Options(**given)))  # type: ignore[arg-type]


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 99))
def test_a_duration_is_the_sum_of_its_parts(hours: int, minutes: int, seconds: int) -> None:
    total = hours * 3600 + minutes * 60 + seconds
    assert duration(f"{hours}h{minutes}m{seconds}s") == duration(str(total)) == total
    assert duration(f"{hours}h") == hours * 3600
    assert duration(f"{minutes}m{seconds}") == minutes * 60 + seconds


@pytest.mark.parametrize("text", ["", "soon", "-5", "1d", "30s5m", "1h 30m", "1.5h", "inf", "s"])
def test_what_is_not_a_duration_names_one(text: str) -> None:
    with pytest.raises(UserError, match="is not a duration; write one such as 90s, 30m or 1h30m"):
        duration(text)


def test_shares_of_a_gpu_and_seeds_have_bounds() -> None:
    assert [SHARE.holds(value) for value in (0, 0.5, 1, 2.0, 1.5, -1, math.nan)] == [True] * 4 + [False] * 3
    assert [SEED.holds(value) for value in (0, 2**31 - 1, -1, 2**31)] == [True, True, False, False]
