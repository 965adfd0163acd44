"""Files of runs: what is missing is no fault, what is damaged is named, and nothing is read that is too large."""

import io
import json
import os
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from results.analysis import run_files
from results.analysis.run_files import RunFiles
from study_common import digests
from tests.results import sample

READERS = {
    "config.toml": RunFiles.config,
    "curve.csv": RunFiles.curve,
    "confusion.csv": RunFiles.confusion,
    "faithfulness.json": RunFiles.examination,
    "saliency.npz": RunFiles.saliency,
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "trials" / "3").mkdir(parents=True)
    return tmp_path / "trials" / "3"


def read(folder, name):
    """What the reader gives for the file, and what it says is wrong."""
    files = RunFiles(folder.parents[1])
    return READERS[name](files, 3), files.damaged


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_no_fault(folder, name):
    assert read(folder, name) == (None, {})


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("config.toml", "lambda1 = ", "Invalid value"),
        ("config.toml", "bits = {a = 1}", "bits is neither a number nor a text"),
        ("config.toml", '"bits.conv1" = "four"', "bits.conv1 is not a whole number"),
        ("curve.csv", "", "No columns"),
        ("curve.csv", "epoch,accuracy\n", "it has no epoch"),
        ("curve.csv", "epoch,accuracy\n1,high\n", "high"),
        ("curve.csv", "epoch,accuracy\n1,0.5\n3,0.5\n", "its epochs are not"),
        ("curve.csv", "epoch,accuracy\n1,0.5\n2,0.5,7\n", "Expected 2 fields"),
        ("confusion.csv", "class,a,b\na,1\nb,1,2\n", ""),
        ("confusion.csv", "class,a,b\na,1,-2\nb,1,2\n", "negative"),
        ("confusion.csv", "class,a,b\na,1,2\nc,1,2\n", "different classes"),
        ("confusion.csv", "class,a,b\na,1,2\n", "not as many rows as columns"),
        ("faithfulness.json", "[1]", "it holds no scores"),
        ("faithfulness.json", '{"ssim": "high"}', "ssim is not a number"),
        ("faithfulness.json", '{"ssim": Infinity}', "ssim is infinite"),
        ("faithfulness.json", '{"ssim": ' + "[" * 100_000, ""),
        ("saliency.npz", "junk", "not a zip file"),
    ],
)
def test_a_damaged_file_is_named(folder, name, text, why):
    (folder / name).write_text(text)
    found, damaged = read(folder, name)
    assert found is None
    assert list(damaged) == [name]
    assert damaged[name][0].startswith(f"trials/3/{name}: ")
    assert why in damaged[name][0]
    assert "\n" not in damaged[name][0]


@pytest.mark.parametrize("name", READERS)
def test_bytes_that_are_no_text_a_folder_a_pipe_and_a_dead_link_are_damaged(folder, name):
    for make in (
        lambda file: file.write_bytes(b"\xff\x00\xfe" * 50),
        lambda file: file.mkdir(),
        os.mkfifo,
        lambda file: file.symlink_to("/nowhere"),
        lambda file: file.symlink_to(file),
    ):
        make(folder / name)
        found, damaged = read(folder, name)
        assert found is None
        assert list(damaged) == [name]
        (folder / name).rmdir() if (folder / name).is_dir() else (folder / name).unlink()


def test_what_was_written_comes_back(folder):
    sample.write(folder / "config.toml", 'lambda1 = 1.0\n"w_bits.conv1" = 4\nmask = "ratio"\n')
    assert read(folder, "config.toml")[0] == {"lambda1": 1.0, "w_bits.conv1": 4, "mask": "ratio"}
    sample.write(folder / "curve.csv", "epoch,seconds,accuracy,faithfulness\n1,2.0,0.5,0.1\n2,2.0,0.6,\n")
    curve, damaged = read(folder, "curve.csv")
    assert curve["epoch"].to_list() == [1, 2]
    assert np.isnan(curve["faithfulness"][1])
    matrix = sample.write_confusion(folder.parents[1], 3, ["a", "b"])
    pd.testing.assert_frame_equal(read(folder, "confusion.csv")[0], matrix)
    sample.write(folder / "faithfulness.json", json.dumps({"ssim": 0.5, "sanity_passed": True}))
    assert read(folder, "faithfulness.json")[0] == {"ssim": 0.5, "sanity_passed": 1.0}
    sample.write_saliency(folder.parents[1], 3)
    assert read(folder, "saliency.npz")[0]["maps"].shape == (8, 28, 28)
    assert damaged == {}


@pytest.mark.parametrize(
    ("name", "text", "altered"),
    [
        ("config.toml", "bits = 4\n", "bits = 5\n"),
        ("curve.csv", "epoch,seconds,accuracy\n1,2.0,0.5\n", "epoch,seconds,accuracy\n1,2.0,0.6\n"),
        ("confusion.csv", "class,a,b\na,1,2\nb,1,2\n", "class,a,b\na,1,3\nb,1,2\n"),
        ("faithfulness.json", '{"ssim": 0.5}', '{"ssim": 0.6}'),
    ],
)
def test_a_file_that_disagrees_with_its_digest_or_has_none_is_named(folder, name, text, altered):
    sample.write(folder / name, text)
    assert read(folder, name)[0] is not None
    (folder / name).write_text(altered)
    assert "altered since it was written" in read(folder, name)[1][name][0]
    (folder / name).write_text(text)
    (folder / "SHA256SUMS").unlink()
    assert "its digest is not in SHA256SUMS" in read(folder, name)[1][name][0]


def test_a_map_that_was_altered_is_named(folder):
    sample.write_saliency(folder.parents[1], 3)
    with np.load(folder / "saliency.npz") as arrays:
        np.savez(folder / "saliency.npz", **{**arrays, "maps": arrays["maps"] / 2})
    found, damaged = read(folder, "saliency.npz")
    assert found is None
    assert "altered since it was written" in damaged["saliency.npz"][0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"maps": np.zeros((8, 5, 5), np.float16)}, "maps have the shape"),
        ({"maps": np.full((8, 28, 28), np.nan, np.float16)}, "not finite"),
        ({"maps": np.zeros((8, 28, 28), complex)}, "maps is of type complex128"),
        ({"images": np.zeros((8, 28, 28), np.float32)}, "images is of type float32"),
        ({"images": np.zeros((8, 28, 28, 5), np.uint8)}, "images have the shape"),
        ({"labels": np.full(8, 10)}, "labels do not name a class"),
        ({"predictions": np.full(8, -1)}, "predictions do not name a class"),
        ({"predictions": np.zeros(7, int)}, "predictions do not name a class"),
        ({"class_names": np.array([{}], dtype=object)}, "class_names is of type object"),
        ({"curve_kept": np.zeros(3)}, "different lengths"),
    ],
)
def test_a_saliency_file_of_wrong_arrays_is_named(folder, changes, why):
    sample.write_saliency(folder.parents[1], 3)
    with np.load(folder / "saliency.npz") as arrays:
        np.savez(folder / "saliency.npz", **{**arrays, **changes})
    found, damaged = read(folder, "saliency.npz")
    assert found is None
    assert why in damaged["saliency.npz"][0]


def test_arrays_that_expand_to_gigabytes_are_rejected_before_they_are_read(folder):
    """6 MB of a zip file that hold 6 GB: refused by the header, within 1 GB of memory."""
    sample.write_saliency(folder.parents[1], 3)
    with np.load(folder / "saliency.npz") as arrays:
        kept = dict(arrays)
    header = io.BytesIO()
    shape = (6, 32_768, 32_768)
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    with zipfile.ZipFile(folder / "saliency.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, array in kept.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                if name == "images":
                    stream.write(header.getvalue())
                    for _ in range(100):  # cut short of what it declares, so that the test is fast
                        stream.write(bytes(2**20))
                else:
                    np.lib.format.write_array(stream, array)
    assert "images is cut short" in read(folder, "saliency.npz")[1]["saliency.npz"][0]
    program = (
        "import re, sys; from results.analysis.run_files import RunFiles; from pathlib import Path; "
        "files = RunFiles(Path(sys.argv[1])); print(files.saliency(3), files.damaged); "
        # ru_maxrss would count the process that started this one, before it became this program
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, folder.parents[1]], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("None")
    assert int(done.stdout.splitlines()[-1]) < 2**20  # KiB


def test_arrays_and_texts_beyond_their_limits_are_rejected(folder, monkeypatch):
    sample.write_saliency(folder.parents[1], 3)
    monkeypatch.setattr(run_files, "MAX_UNPACKED_BYTES", 1000)
    assert "its arrays are larger" in read(folder, "saliency.npz")[1]["saliency.npz"][0]
    with (folder / "curve.csv").open("w") as file:
        file.truncate(3 * 2**30)
    assert "it is larger" in read(folder, "curve.csv")[1]["curve.csv"][0]


WIDTHS = {"params.bits.conv1": [2, 4], "metrics.accuracy": [0.5, 0.6], "metrics.loss": [1.0, float("inf")]}


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"params.bits.conv1": ["x", "y"]}, "params.bits.conv1 has a value that is not a number"),
        ({"metrics.accuracy": [[1, 2], [3]]}, "metrics.accuracy has a value that is not a number"),
        ({"metrics.accuracy": ["high", "low"]}, "metrics.accuracy has a value that is not a number"),
        ({"metrics.loss": [True, False]}, "metrics.loss has a value that is not a number"),
        ({"metrics.loss": [1.0, 1e200]}, "metrics.loss has a value of 1e+100 or more"),
    ],
)
def test_a_width_table_of_wrong_types_is_named(tmp_path, changes, why):
    pd.DataFrame(WIDTHS | changes).to_parquet(tmp_path / "widths.parquet")
    digests.seal(tmp_path / "widths.parquet")
    files = RunFiles(tmp_path)
    assert files.width_table() is None
    assert files.damaged == {"widths.parquet": [f"widths.parquet: {why}"]}
    pd.DataFrame(WIDTHS).to_parquet(tmp_path / "widths.parquet")
    digests.seal(tmp_path / "widths.parquet")
    pd.testing.assert_frame_equal(RunFiles(tmp_path).width_table(), pd.DataFrame(WIDTHS))


def test_a_width_table_that_expands_to_gigabytes_is_rejected_before_it_is_read(tmp_path):
    pq.write_table(pa.table({"metrics.accuracy": pa.repeat(0.5, 11_000_000)}), tmp_path / "widths.parquet")
    files = RunFiles(tmp_path)
    assert files.width_table() is None
    assert "its table is larger than" in files.damaged["widths.parquet"][0]
