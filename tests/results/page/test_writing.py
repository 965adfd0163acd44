"""The three files that a study's report is made of."""

import os
import shutil
import subprocess
import sys

import pandas as pd
import pytest

import results
from results.page.page import page
from study_common import layout
from study_common.errors import UserError
from tests.results.page.html import ADDED, brute_front


def test_write_leaves_the_three_files(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    written = results.write_results(copy)
    trials = pd.read_parquet(copy / layout.TRIALS_FILE)
    pd.testing.assert_frame_equal(trials, written.trials)
    front = pd.read_csv(copy / layout.FRONT_FILE)
    assert list(front) == [*trials.drop(columns="duration_s"), *ADDED]  # a seed decides all the rest
    assert front["number"].to_list() == brute_front(trials, written.directions)
    exact = trials.set_index("number").loc[front["number"], "metrics.accuracy"]
    assert front["metrics.accuracy"].to_list() == exact.to_list()
    assert sorted(os.listdir(copy)) == sorted(
        [*os.listdir(study_path), layout.TRIALS_FILE, layout.FRONT_FILE, layout.REPORT_FILE]
    )
    again = (copy / layout.REPORT_FILE).read_text("utf-8")
    assert again == page(written)  # the same study, the same report


def test_a_directory_that_cannot_be_written_is_one_clear_line(read_only):
    with pytest.raises(UserError, match="cannot be written"):
        results.write_results(read_only)


def test_a_full_disk_leaves_no_half_file(study_path, tmp_path):
    """A limit on the size of files stands for the full disk: 1 MB holds the tables, not the report."""
    copy = shutil.copytree(study_path, tmp_path / "copy")
    program = (
        "import resource, signal, sys, results; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10**6, 10**6)); results.write_results(sys.argv[1])"
    )
    run = subprocess.run([sys.executable, "-c", program, copy], capture_output=True, text=True, check=False)
    assert "UserError: the report cannot be written" in run.stderr
    assert layout.REPORT_FILE not in os.listdir(copy)
    assert not [name for name in os.listdir(copy) if name.startswith(".")]


def test_the_report_needs_neither_ray_nor_torch(study_path, tmp_path):
    copy = shutil.copytree(study_path, tmp_path / "copy")
    program = "import sys, results; results.write_results(sys.argv[1]); "
    program += "print({'ray', 'torch', 'study'} & sys.modules.keys())"
    run = subprocess.run([sys.executable, "-c", program, copy], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
    assert run.stderr == ""
