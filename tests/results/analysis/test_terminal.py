"""Tables as they are printed."""

import pandas as pd
import pytest

from results.analysis.formatting import format_metric
from results.analysis.terminal import PIPE_WIDTH, print_table


@pytest.fixture
def printed(capsys):
    def call(table, title=""):
        print_table(table, title)
        return capsys.readouterr().out

    return call


def cells(text):
    return [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in text.splitlines() if line.startswith("│")
    ]


def test_prefixes_of_columns_are_left_out_and_floats_are_written_as_metrics(printed):
    table = pd.DataFrame({"number": [7], "params.bits": [4], "metrics.accuracy": [0.87654]})
    out = printed(table)
    assert out.splitlines()[1].replace("┃", " ").split() == ["number", "bits", "accuracy"]
    assert cells(out) == [["7", "4", format_metric("accuracy", 0.87654)]]


def test_a_missing_value_is_a_dash(printed):
    table = pd.DataFrame({"a": [float("nan")], "b": [None], "c": pd.array([pd.NA], "Int64")})
    assert cells(printed(table)) == [["-", "-", "-"]]


def test_square_brackets_in_names_and_values_are_text(printed):
    out = printed(pd.DataFrame({"[b]x": ["[red]y"]}), "[i]title")
    assert all(text in out for text in ("[b]x", "[red]y", "[i]title"))


def test_a_table_in_a_pipe_is_as_wide_as_its_content_needs(printed):
    wide = "x" * (PIPE_WIDTH - 10)
    assert cells(printed(pd.DataFrame({"a": [wide]}))) == [[wide]]


def test_numbers_are_aligned_right_and_text_left(printed):
    line = printed(pd.DataFrame({"number": [1], "name": ["a"]})).splitlines()[3]
    assert line == "│      1 │ a    │"
