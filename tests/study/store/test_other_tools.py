"""A finished record in other tools: Optuna's command line, its plots, and optuna-dashboard."""

import json
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from study.store import database
from study.store.record import Record, new_result
from study.store.request import Request
from tests.study.toys import metrics_of


@pytest.fixture
def url(request_of: Callable[..., Request], tmp_path: Path) -> str:
    """A record of one trial that paused for an hour between 20 and 10 seconds of training, and of one that did not."""
    request = request_of(name="s")
    url = database.url_in(tmp_path)
    with Record.open(url, "s", request.objectives, new=True) as record:
        for number, point in enumerate(request.queue[:2]):
            record.add(point, request.distributions(), new_result(seed=7))
            record.pause(number, new_result(seed=7))
            record.resume(number)
            runs = [("10:00:00", "10:00:20"), ("11:00:20", "11:00:30")][: 2 - number]
            intervals = [
                {"worker": "w", "started": f"2026-11-29T{start}+00:00", "ended": f"2026-11-29T{end}+00:00"}
                for start, end in runs
            ]
            ended: Any = new_result(seed=7) | {
                "epochs": 9, "intervals": intervals, "finished": intervals[-1]["ended"],
                "metrics": metrics_of(request.flat(point), 9) | {"kl": float("nan")},
            }  # fmt: skip
            record.finish(number, TrialState.COMPLETE, ended)
    return url


def test_durations_leave_out_pauses(url: str) -> None:
    """Optuna measured from the last time that a trial was resumed."""
    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [trial.duration.total_seconds() for trial in trials if trial.duration] == [30.0, 20.0]


def test_the_command_line_of_optuna_lists_the_trials(url: str) -> None:
    words = ["trials", "--study-name", "s", "--storage", url, "--format", "json"]
    program = "import sys; from optuna.cli import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert [trial["state"] for trial in found] == ["COMPLETE", "COMPLETE"]
    trials = optuna.load_study(study_name="s", storage=url).trials
    assert [trial["user_attrs"]["accuracy"] for trial in found] == [trial.values[0] for trial in trials]


def test_plots_of_optuna_name_the_objectives(url: str) -> None:
    study = optuna.load_study(study_name="s", storage=url)
    front = optuna.visualization.plot_pareto_front(study, targets=lambda trial: trial.values[:2])
    assert sum(len(part.x) for part in front.data) == 2
    named = optuna.visualization.plot_pareto_front(study)
    axes = [named.layout.scene.xaxis, named.layout.scene.yaxis, named.layout.scene.zaxis]
    assert [axis.title.text for axis in axes] == study.metric_names
    lines = optuna.visualization.plot_parallel_coordinate(
        study, target=lambda trial: trial.values[0], target_name="accuracy"
    )
    assert len(lines.data), "an empty figure has none"


def test_the_command_of_optuna_dashboard_opens_the_record(url: str) -> None:
    """As docs/cluster.md has it, in a process of its own."""
    pytest.importorskip("optuna_dashboard")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
    program = "import sys; from optuna_dashboard._cli import main; sys.exit(main())"
    words = [sys.executable, "-c", program, url, "--host", "127.0.0.1", "--port", port]

    def ask(path: str) -> bytes:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as answer:
            content: bytes = answer.read()
        return content

    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT) as process:
        try:
            deadline = time.monotonic() + 60
            while True:
                try:
                    page = ask("/dashboard/")
                    break
                except OSError:
                    assert process.poll() is None, "it has ended"
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            assert b"<title>Optuna Dashboard" in page
            (summary,) = json.loads(ask("/api/studies"))["study_summaries"]
            assert summary["study_name"] == "s"
            trials = json.loads(ask(f"/api/studies/{summary['study_id']}"))["trials"]
            assert [trial["state"] for trial in trials] == ["Complete", "Complete"]
        finally:
            process.terminate()


def test_optuna_dashboard_has_the_metrics_of_each_trial(url: str) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    app = dashboard.wsgi(url)
    said: list[str] = []

    def ask(path: str) -> Any:
        environ = {
            "REQUEST_METHOD": "GET", "PATH_INFO": path, "QUERY_STRING": "", "SERVER_NAME": "x",
            "SERVER_PORT": "80", "wsgi.input": BytesIO(), "wsgi.url_scheme": "http",
        }  # fmt: skip
        body = b"".join(app(environ, lambda status, *_: said.append(status)))
        return json.loads(body)

    (summary,) = ask("/api/studies")["study_summaries"]
    detail = ask(f"/api/studies/{summary['study_id']}")
    assert said == ["200 OK", "200 OK"]
    assert detail["objective_names"] == optuna.load_study(study_name="s", storage=url).metric_names
    attributes = {each["key"] for each in detail["trials"][0]["user_attrs"]}
    assert {"accuracy", "faithfulness", "flops", "bops", "size_bytes"} <= attributes
    assert "kl" not in attributes, "NaN is not JSON"
