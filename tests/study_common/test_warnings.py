"""Warnings of commands: one line each on stderr, and nothing of where in the code they come from."""

import warnings

import pytest

from study_common.commands import exit_code
from study_common.errors import StudyWarning


def test_a_warning_of_ours_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert exit_code(lambda: warnings.warn("flops cannot vary", StudyWarning, stacklevel=1)) == 0
    assert capsys.readouterr().err == "warning: flops cannot vary\n"


def test_another_warning_says_where_it_comes_from(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert exit_code(lambda: warnings.warn("old", FutureWarning, stacklevel=1)) == 0
    assert "test_warnings.py" in (said := capsys.readouterr().err)
    assert "FutureWarning: old" in said
