"""What --dry-run says of a study: its space, the range of its costs and the time it takes."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from study.planning.dry_run import describe
from study.store.request import Request
from tests.conftest import Command
from tests.study.planning.test_plan import two_by_two

RequestOf = Callable[..., Request]


def test_a_dry_run_prints_space_costs_and_time(
    command: Command, tmp_path: Path, stripes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    words = ("--space", "mixed_bits", "--dataset", "folder", "--data-dir", str(stripes), "--epochs", "4")
    size = ("--set", "image_size=16", "--set", "batch_size=16")
    code, out, error = command(
        "study.launch", *words, *size, "--dry-run", "--runs-dir", str(tmp_path / "runs")
    )
    assert code == 0, error
    assert "mask_ratio: 0.1 to 0.9" in out
    assert "bits.conv1: 2, 3, 4, 6, 8" in out
    least, most = (float(n.replace(",", "")) for n in out.split("flops: ")[1].split("\n")[0].split(" to "))
    assert most == 16 * least  # from all layers at 2 bits to all at 32
    assert "trials of up to 4 epochs" in out.splitlines()[-1]
    assert not (tmp_path / "runs").exists()


def test_the_costs_of_a_dry_run_are_those_of_what_may_be_tried(
    command: Command, tmp_path: Path, stripes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    data = ("--dataset", "folder", "--data-dir", str(stripes))
    size = ("--set", "image_size=16", "--set", "batch_size=16", "--epochs", "1")
    bounds = ("--sampler", "grid", "--max-bops", "2e7")
    words = ("--space", str(two_by_two(tmp_path)), *data, *size, *bounds)
    _, out, error = command("study.launch", *words, "--dry-run", "--runs-dir", str(tmp_path / "runs"))
    assert not error
    least, most = (float(n.replace(",", "")) for n in re.findall(r"flops: (.*) to (.*)", out)[0])
    assert most == 4 * least  # 2 and 8 bits, and no float corner
    assert re.search("bops: .* to 20,000,000\n", out)


@pytest.fixture
def small(
    request_of: RequestOf, stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Request]:
    """Return a function that plans a study of one short epoch."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = {"dataset": "folder", "data_dir": str(stripes), "fixed": {"image_size": 16, "batch_size": 16}}
    return lambda **given: request_of(**{"epochs": 1, **images, **given})


def test_the_number_of_configurations_is_told(small: RequestOf, tmp_path: Path) -> None:
    assert describe(small()).startswith("space mixed_bits: infinitely many configurations\n")
    four = describe(small(space=str(two_by_two(tmp_path))))
    assert four.startswith("space four: 4 configurations\n  lambda1: 0.1, 1.0\n  bits: 2, 8\n")
    assert "\ntime: 5 trials of up to 1 epoch of" in four, "the float corner is one more"


def test_a_logarithmic_range_is_named(small: RequestOf, tmp_path: Path) -> None:
    space = tmp_path / "log.toml"
    space.write_text(
        "[parameters]\nlambda1 = { type = 'float', low = 0.1, high = 10.0, log = true }\n"
        "bits = { type = 'choice', values = [2, 8] }\n"
    )
    assert "\n  lambda1: 0.1 to 10.0, logarithmic\n" in describe(small(space=str(space)))


def test_the_points_of_a_listed_space_are_shown(small: RequestOf) -> None:
    request = small(space="paper_table_ii")
    lines = describe(request).splitlines()
    assert lines[1 : 1 + len(request.space.points)] == [f"  {point}" for point in request.space.points]


@pytest.mark.parametrize("before", ["", "1,2", None])
def test_the_choice_of_gpus_is_as_before(
    before: str | None, small: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if before is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", before)
    describe(small())
    assert os.environ.get("CUDA_VISIBLE_DEVICES") == before


def test_more_workers_than_cpus_make_nothing_faster(small: RequestOf) -> None:
    with pytest.warns(UserWarning, match="--workers"):
        request = small(workers=10_000)
    assert " on 10000 workers" not in describe(request)
    assert " on 1 worker " in describe(small(workers=1))


def test_a_dry_run_tells_what_the_shared_model_takes(small: Callable[..., Request]) -> None:
    line = next(line for line in describe(small(init="shared")).splitlines() if "start:" in line)
    assert re.fullmatch(
        r"start: 9 epochs of about [\d.]+ s for the shared model, on one worker, take \d+ s; "
        r"its quantisers take 0.0 MB", line
    )  # fmt: skip
    assert "quantisers" not in describe(small(init="float"))


def test_a_dry_run_tells_what_memory_the_workers_take(
    small: RequestOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = small(workers=1)
    line = next(line for line in describe(request).splitlines() if line.startswith("memory:"))
    found = re.fullmatch(r"memory: 1 worker of ([\d.]+) GB takes ([\d.]+) of ([\d.]+) GB", line)
    assert found, line
    assert (
        0.2 < float(found[1]) == float(found[2]) < float(found[3])
    )  # torch alone has a quarter of a gigabyte

    monkeypatch.setattr("study.planning.dry_run.available_memory", lambda: 10**8)
    assert "0.1 GB: too much; give fewer --workers" in describe(request)
