"""The replay command as a user types it: a table of a recorded study, and everything that can be wrong with one."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from study.execution.searcher import Searcher
from study.execution.worker import reports
from study.simulation.table import ABOUT, Table
from study.store import database
from study.store.record import Record
from study_common import layout
from study_common.layout import RECORD_FILE
from tests.conftest import Command
from tests.study.simulation.test_table import table as table
from tests.study.toys import toy


def recorded(table: Table, runs: Path, trials: int) -> None:
    """Make the study `s`, which tried the first `trials` configurations of a grid; no Ray."""
    request, directory = replace(table.request, name="s", sampler="grid", trials=trials), runs / "s"
    directory.mkdir()
    request.write(directory)
    (directory / layout.LOCK_FILE).write_text('{"token": ""}')
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        for trial in map(str, range(trials)):
            *_, last = reports(searcher.suggest(trial)["job"], toy)  # type: ignore[index]
            searcher.on_trial_complete(trial, {"report": last})


def test_a_study_is_recorded_and_replayed(command: Command, table: Table, tmp_path: Path) -> None:
    recorded(table, tmp_path, trials=12)
    words = ("--table", str(tmp_path / "table.parquet"), "--workers", "1,3", "--seeds", "2")
    code, out, error = command("study.simulate", "--record", "s", "--runs-dir", str(tmp_path), *words)
    assert (code, error) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if "│" in line]
    assert [row[0] for row in rows] == ["1", "3"]
    assert all(float(row[-2]) < 12 * 9 for row in rows), "pareto_asha stops some"
    assert command("study.simulate", *words)[:2] == (0, out)
    code, out, _ = command("study.simulate", *words, "--scheduler", "fifo")
    assert out.count(" 108 ") == 2


def test_a_study_with_gaps_is_no_table(command: Command, table: Table, tmp_path: Path) -> None:
    recorded(table, tmp_path, trials=11)
    file = tmp_path / "table.parquet"
    code, _, error = command(
        "study.simulate", "--record", "s", "--table", str(file), "--runs-dir", str(tmp_path)
    )
    assert (code, len(error.splitlines())) == (2, 1)
    assert "11 complete trials inside a space of 12" in error
    assert not file.exists()


def remove_a_curve(study: Path) -> None:
    (study / "trials" / "2" / "curve.csv").unlink()


def remove_the_record(study: Path) -> None:
    (study / RECORD_FILE).unlink()


def remove_all_but_the_request(study: Path) -> None:
    remove_the_record(study)
    shutil.rmtree(study / "trials")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (remove_a_curve, "has 0 of 9 epochs on disk; copy the whole study"),
        (remove_the_record, "missing or empty though there are trials; copy the whole study"),
        (remove_all_but_the_request, "there is no record of s yet; start it with python -m study.resume s"),
    ],
)
def test_a_damaged_study_is_no_table_and_stays_as_it_is(
    damage: Callable[[Path], None], says: str, command: Command, table: Table, tmp_path: Path
) -> None:
    recorded(table, tmp_path, trials=12)
    damage(tmp_path / "s")
    before = sorted(tmp_path.rglob("*"))
    code, _, error = command(
        "study.simulate", "--record", "s", "--table", str(tmp_path / "t.parquet"), "--runs-dir", str(tmp_path)
    )
    assert (code, len(error.splitlines())) == (2, 1)
    assert says in error
    assert sorted(tmp_path.rglob("*")) == before


def test_a_table_that_cannot_be_written_is_one_line(command: Command, table: Table, tmp_path: Path) -> None:
    recorded(table, tmp_path, trials=12)
    file = tmp_path / "nowhere" / "table.parquet"
    code, _, error = command(
        "study.simulate", "--record", "s", "--table", str(file), "--runs-dir", str(tmp_path)
    )
    assert (code, len(error.splitlines())) == (2, 1)
    assert "cannot write" in error


BAD = {
    "--table nowhere.parquet": "there is no file nowhere.parquet; make it with --record",
    "--table OTHER": "is not a table of learning curves",
    "--table LIST": "is not a table of learning curves",
    "--table EMPTY": "is not a table of learning curves",
    "--table FILE --record s": "exists already; choose another --table",
    "--table FILE --workers 0": "--workers",
    "--table FILE --workers 1,x": "--workers",
    "--table FILE --trials 0": "above 0",
    "--table FILE --seeds 0": "above 0",
    "--table FILE --sampler tpa": "tpe",
    "--table FILE --scheduler asha": "pareto_asha",
    "--table FILE --record nothing": "no study 'nothing'",
    "": "--table",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line(words: str, command: Command, table: Table, tmp_path: Path) -> None:
    table.write(tmp_path / "table.parquet")
    (tmp_path / "other").write_text("no table")
    for name, about in (("list", "[1]"), ("empty", "{}")):
        pq.write_table(pa.table({"trial": [0]}).replace_schema_metadata({ABOUT: about}), tmp_path / name)
    if "--record s" in words:
        recorded(table, tmp_path, trials=12)
    files = {"FILE": "table.parquet", "OTHER": "other", "LIST": "list", "EMPTY": "empty"}
    typed = [str(tmp_path / files[word]) if word in files else word for word in words.split()]
    code, out, error = command("study.simulate", *typed, "--runs-dir", str(tmp_path))
    assert (code, out, len(error.splitlines())) == (2, "", 1)
    assert BAD[words] in error
