"""What is not installed is named, with the remedy."""

import sys

import pytest

from study_common.commands import needs


def test_what_is_missing_is_named(monkeypatch, capsys):
    needs("tomllib")
    with pytest.raises(
        ModuleNotFoundError, match=r"this needs no_such; install it with pip install '.*\[study\]'"
    ):
        needs("no_such")
    monkeypatch.setattr(sys, "argv", ["-m"])  # as it is while `python -m study.status` imports study
    with pytest.raises(SystemExit) as ended:
        needs("no_such")
    assert ended.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
