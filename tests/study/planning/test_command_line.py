"""The command line of a launch: every option is one field, with its flag, its default and its check."""

import argparse
import math
from dataclasses import dataclass, field, fields

import pytest

from study.planning.command_line import add_options, command, parse
from study.planning.spec import Spec
from study.store.options import check_choices, flag, flags, typed
from study_common.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Painted(Spec):
    """A `Spec` with one more option."""

    colour: str = field(default="red", metadata=flag("of the report", choices=("red", "blue")))


def test_a_new_option_is_one_field() -> None:
    parser = argparse.ArgumentParser()
    add_options(parser, Painted)
    assert "of the report: red, blue (default: red)" in parser.format_help()
    given = vars(parser.parse_args(["--space", "mixed_bits", "--colour", "blu"]))
    assert given == {"space": "mixed_bits", "colour": "blu"}, "what is not typed is left to the field"
    with pytest.raises(UserError, match="unknown colour 'blu'; the nearest is 'blue'"):
        check_choices(Painted, vars(Painted(**given)))


def test_every_flag_reaches_its_field() -> None:
    values = {int: "3", float: "0.5", str: "word"}
    words, expected = ["--space", "mixed_bits"], {}
    for name, of in flags(Spec).items():
        if name in ("space", "fixed", "init_settings", "time_budget_s", "storage"):
            continue
        if getattr(Spec, name, None) is False:  # a switch takes no value
            words.append(typed(name, of))
            expected[name] = True
            continue
        words += [typed(name, of), values[of.parse]]  # type: ignore[index]
        expected[name] = of.parse(values[of.parse])  # type: ignore[index]
    words += [
        "--set",
        "bits=4",
        "--set",
        "mask=threshold",
        "--init-set",
        "lr=0.1",
        "--time-budget",
        "1h30m",
        "--storage",
        "sqlite:///x",
    ]
    spec, dry_run, to = parse("study.launch", "", [*words, "--submit", "http://head:8265"])
    assert (dry_run, to) == (False, "http://head:8265")
    assert {name: getattr(spec, name) for name in expected} == expected
    assert spec.fixed == {"bits": 4, "mask": "threshold"}
    assert spec.init_settings == {"lr": 0.1}
    assert spec.time_budget_s == 5400
    assert spec.storage == "sqlite:///x"
    without = {each.name for each in fields(Spec)} - flags(Spec).keys()
    assert without == {"command", "runs_dir"}, "the parser of all studies has --runs-dir"


def test_what_is_not_typed_is_the_default() -> None:
    spec, dry_run, _ = parse("study.launch", "", ["--space", "mixed_bits", "--dry-run"])
    assert dry_run
    assert spec == Spec(space="mixed_bits", command="python -m study.launch --space mixed_bits --dry-run")
    assert spec.time_budget_s == math.inf


@pytest.mark.parametrize("storage", [["--storage=%s"], ["--storage", "%s"], ["--stor", "%s"], ["--stora=%s"]])
def test_the_kept_line_has_no_password_of_any_storage(storage: list[str]) -> None:
    first = [word.replace("%s", "postgresql://me:secret@old/db") for word in storage]
    line = command("study.launch", [*first, "--storage", "postgresql://me@db/x?password=s2", "--trials", "8"])
    kept = " ".join(storage).replace("%s", "postgresql://me@old/db")
    assert line == f"python -m study.launch {kept} --storage postgresql://me@db/x --trials 8"
    assert "secret" not in command("study.launch", ["--storage", "me:secret", "--storage=x:y:secret"])


@pytest.mark.parametrize("flag", ["--set", "--init-set"])
def test_a_setting_that_is_given_twice_is_rejected(flag: str) -> None:
    words = ["--space", "mixed_bits", flag, "epochs=2", flag, "lr=0.1"]
    assert parse("study.launch", "", words).spec
    with pytest.raises(UserError, match=f"{flag} epochs is given more than once"):
        parse("study.launch", "", [*words, flag, "epochs=3"])
