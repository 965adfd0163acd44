"""The request: what `study.toml` keeps reads back as it was."""

import tomllib
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

from study.store.options import Options
from study.store.request import Request
from study_common.layout import REQUEST_FILE


def test_every_option_is_kept_and_read_back(request_of: Callable[..., Request], tmp_path: Path) -> None:
    given = {
        "trials": 7, "epochs": 5, "time_budget_s": 60.0, "workers": 1, "gpus_per_trial": 0.5, "sampler": "tpe",
        "scheduler": "fifo", "reduction_factor": 4, "init": "float", "seed": 8, "max_bops": 1e9,
        "log": "tensorboard", "init_settings": {"lr": 0.1},
    }  # fmt: skip
    request = request_of(**given)
    request.write(tmp_path)
    kept = tomllib.loads((tmp_path / REQUEST_FILE).read_text())["request"]
    assert {option.name for option in fields(Options)} <= kept.keys()
    assert {name: kept[name] for name in given if name in kept} == {
        name: value for name, value in given.items() if name in kept
    }
    assert Request.read(tmp_path) == request


def test_a_request_reads_back_as_it_was(request_of: Callable[..., Request], tmp_path: Path) -> None:
    for space in ("mixed_bits", "saliency", "paper_table_ii", "uniform_bits"):
        given = {"objectives": "accuracy:max,faithfulness:max"} if space == "saliency" else {}
        request = request_of(space=space, max_bops=2e10, fixed={"eta": 0.0}, time_budget_s=60.0, **given)
        request.write(tmp_path)
        assert Request.read(tmp_path) == request
