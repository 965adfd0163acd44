"""The commands as they are typed: what they print, and one line with exit code 2 for what is wrong."""

import csv
import runpy
import shutil
import subprocess
import sys

import pytest

import results
from study_common import layout


@pytest.fixture
def runs(study_path, tmp_path):
    shutil.copytree(study_path, tmp_path / "sample")
    return tmp_path


@pytest.fixture
def run(runs, capsys, monkeypatch):
    """Run a command within this process; return its exit code, stdout and stderr."""

    def call(command, *arguments):
        monkeypatch.delitem(sys.modules, f"results.{command}", raising=False)  # doctests import it too
        main = runpy.run_module(f"results.{command}")["main"]
        try:
            code = main([*arguments, "--runs-dir", str(runs)])
        except SystemExit as stop:
            code = stop.code
        return (code, *capsys.readouterr())

    return call


@pytest.mark.parametrize("command", ["front", "select", "compare", "report"])
def test_a_copied_study_moves_no_cursor_by_its_name(command, run, runs):
    """ESC and newlines in the name of a directory used to reach the terminal."""
    (runs / "sample").rename(runs / "a\nspoof\x1b[31m")
    names = ["a\nspoof\x1b[31m"] * (2 if command == "compare" else 1)
    if command == "compare":
        shutil.copytree(runs / names[0], runs / "b\nspoof\x1b[31m")
        names[1] = "b\nspoof\x1b[31m"
    code, out, _ = run(command, *names)
    assert code == 0
    assert "\x1b" not in out
    assert not any(line.startswith("spoof") for line in out.splitlines())


def test_front_prints_every_member(run, study):
    code, out, err = run("front", "sample")
    front = study.front()
    assert (code, err) == (0, "")
    assert f"{len(front)} of 60 trials" in out
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in out.splitlines() if line.startswith("│")
    ]
    assert sorted(int(row[0]) for row in rows) == sorted(front["number"])
    assert f"hypervolume {results.hypervolume(front, study.objectives):.4f}" in out


def test_front_of_other_objectives(run, study):
    code, out, _ = run("front", "sample", "--objectives", "accuracy:max,size_bytes:min")
    front = results.pareto_front(study.trials, {"accuracy": "max", "size_bytes": "min"})
    assert code == 0
    assert f"{len(front)} of 60 trials" in out
    assert "hypervolume" not in out  # no (ideal, reference) for them


def test_select_prints_the_trial_and_its_export(run, study):
    code, out, _ = run(
        "select", "sample", "--max", "flops=2e6", "--min", "accuracy=0.75", "--prefer", "accuracy"
    )
    row = study.select(at_most={"flops": 2e6}, at_least={"accuracy": 0.75}, prefer="accuracy").iloc[0]
    assert code == 0
    assert out.startswith(f"trial {row['number']} of sample\n")
    checkpoint, _, to = out.splitlines()[-1].split()[-3:]
    assert checkpoint.endswith(f"sample/trials/{row['number']}/checkpoint.safetensors")
    assert to.endswith(f"sample/exported/{row['number']}")


def test_report_writes_and_says_where(run, runs):
    code, out, _ = run("report", "sample")
    assert code == 0
    assert out.strip() == str(runs / "sample" / layout.REPORT_FILE)
    with (runs / "sample" / layout.FRONT_FILE).open() as file:
        assert next(csv.reader(file))[:3] == ["number", "state", "feasible"]


def test_compare_studies_and_the_papers(run, runs):
    shutil.copytree(runs / "sample", runs / "copy")
    code, out, _ = run("compare", "sample", str(runs / "copy"))
    assert code == 0
    assert str(runs / "copy") in out  # the copy has the same name, so it goes by its path
    code, out, _ = run("compare", "sample", "--paper")
    assert code == 0
    assert "the paper" in out
    assert "27/32" in out
    assert "1661.17" in out
    assert run("compare", "--paper")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("front", "smaple"), "did you mean 'sample'?"),
        (("front", "../x"), "no study at ../x: it has no study.toml"),
        (
            ("select", "sample", "--min", "accuracy=0.1", "--min", "accuracy=0.2"),
            "--min accuracy is given twice",
        ),
        (("front", "sample", "--objectives", "acuracy:max"), "the nearest is 'accuracy'"),
        (("front", "sample", "--objectives", "accuracy"), "needs ':max' or ':min' after it"),
        (("front", "sample", "--objectives", "accuracy:up"), "needs ':max' or ':min' after it"),
        (("front", "sample", "--objectives", "flops:min,flops:max"), "the objective flops is given twice"),
        (("select", "sample", "--max", "bops=nan"), "'bops=nan' is not NAME=NUMBER"),
        (("select", "sample", "--min", "accuracy=-inf"), "'accuracy=-inf' is not NAME=NUMBER"),
        (("select", "sample", "--max", "bops"), "'bops' is not NAME=NUMBER"),
        (("select", "sample", "--max", "bops=many"), "'bops=many' is not NAME=NUMBER"),
        (("select", "sample", "--max", "bop=1"), "unknown metric 'bop'; the nearest is 'bops'"),
        (("select", "sample", "--prefer", "nkee"), "unknown metric 'nkee'"),
        (("select", "sample", "--min", "accuracy=0.999"), "sample: no trial has accuracy >= 0.999"),
        (("compare", "sample"), "a comparison takes at least two studies"),
        (("compare", "sample", "sample"), "a comparison takes different studies"),
        (("report",), "the following arguments are required: NAME"),
    ],
)
def test_what_is_wrong_is_one_line_and_exit_code_2(run, arguments, message):
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert message in err
    assert err.startswith("error: ")
    assert err.count("\n") == 1


def test_as_a_process(runs):
    command = [sys.executable, "-W", "error", "-m", "results.front", "nothing", "--runs-dir", str(runs)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"error: no study 'nothing' under {runs}; did you mean 'sample'?\n"
    done = subprocess.run([*command[:5], "--help"], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "--runs-dir" in done.stdout


def test_a_reader_that_leaves_early_is_no_error(runs):
    words = [sys.executable, "-m", "results.select", "sample", "--runs-dir", str(runs)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as command:
        command.stdout.close()
        assert command.stderr.read() == ""
    assert command.returncode == 141


def test_compare_by_a_setting_prints_gains_and_intervals(run, study):
    code, out, err = run("compare", "sample", "--by", "lambda2")
    assert (code, err) == (0, "")
    assert "difference" in out
    assert "accuracy" in out
    code, _, err = run("compare", "sample", "--by", "lambda3")
    assert code == 2
    assert "the nearest is 'lambda2'" in err
