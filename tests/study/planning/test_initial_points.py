"""Points to try first: the corners of a space, and the front of an earlier study brought into it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from study.execution.searcher import Searcher
from study.execution.worker import Report
from study.store import database
from study.store import directory as directories
from study.store.record import Record
from study.store.request import Request
from study_common.errors import StudyWarning, UserError

RequestOf = Callable[..., Request]


def test_corners_come_first(request_of: RequestOf) -> None:
    queue = request_of().queue
    widths = [{value for name, value in point.items() if name.startswith("bits.")} for point in queue]
    assert widths == [{2}, {8}, {32}]
    assert all(point["lambda1"] == 1.0 for point in queue), "the default of a run"
    assert request_of(space="paper_table_ii").queue == []


def complete(request: Request, runs: Path, trials: int) -> None:
    """Write a study whose trials are all on its front."""
    directory = directories.create(request, str(runs))
    with Record.open(database.url_in(directory), request.name, request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        for number in range(trials):
            searcher.suggest(str(number))
            metrics = {"accuracy": number / 10, "faithfulness": 1 - number / 10, "flops": 1e5}
            last = Report(epoch=9, seconds=1.0, metrics=metrics, last=True)
            searcher.on_trial_complete(str(number), {"report": last})


CONDITIONAL = """
[parameters]
mask = { type = 'choice', values = ['ratio', 'threshold'] }
batch_size = { type = 'choice', values = [64, 128], when = { mask = ['ratio'] } }
stop_gradient = { type = 'choice', values = [true, false], when = { mask = ['threshold'] } }
"""


def test_a_warm_start_knows_inactive_parameters(request_of: RequestOf, tmp_path: Path) -> None:
    space = tmp_path / "conditional.toml"
    space.write_text(CONDITIONAL)
    given = {"space": str(space), "sampler": "grid", "objectives": "accuracy:max,faithfulness:max"}
    request = request_of(name="s", **given)
    complete(request, tmp_path, 4)
    assert request_of(**given, warm_start="s").queue == list(request.space.grid())
    with pytest.raises(UserError, match="none of the 4 configurations on the front of s is in space"):
        request_of(warm_start="s")


def test_a_warm_start_is_brought_into_another_space(request_of: RequestOf, tmp_path: Path) -> None:
    """What that lacks is dropped, what it adds takes its default, what lies outside moves to the nearest value."""
    spaces: dict[str, str] = {
        "old": """
[parameters]
lambda1 = { type = "choice", values = [0.5, 5.0] }
alpha_start = { type = "choice", values = ["init", "percentile"] }
"bits.conv1" = { type = "choice", values = [3, 32] }
mask = { type = "choice", values = ["threshold"] }
""",
        "new": """
[parameters]
lambda1 = { type = "float", low = 0.1, high = 2.0 }
alpha_start = { type = "choice", values = ["percentile", "mse"] }
"bits.conv1" = { type = "choice", values = [2, 4, 8] }
mask_ratio = { type = "float", low = 0.1, high = 0.9 }
""",
    }
    for name, text in spaces.items():
        (tmp_path / f"{name}.toml").write_text(text)
    request = request_of(name="s", space=str(tmp_path / "old.toml"), sampler="grid")
    complete(request, tmp_path, 8)
    told = "the warm start from s takes the default of mask_ratio and drops mask"
    with pytest.warns(StudyWarning, match=told):
        queue = request_of(space=str(tmp_path / "new.toml"), warm_start="s").queue
    corners, brought = queue[:3], queue[3:]
    assert {point["bits.conv1"] for point in corners} == {2, 8, 32}
    expected: list[dict[str, Any]] = [
        {"lambda1": lambda1, "alpha_start": start, "bits.conv1": width, "mask_ratio": 0.5}
        for lambda1 in (0.5, 2.0)
        for start in ("mse", "percentile")
        for width in (2, 8)
    ]
    assert sorted(map(str, brought)) == sorted(map(str, expected))
