"""Each tool of --log, read back with its own reader: a run per trial, each epoch once, whatever came in between."""

import json
import logging
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from study.execution import trackers
from study.execution.tracking import Entry
from study.store.options import LOGS
from study.store.request import Request
from study_common.errors import LinkError
from tests.study.toys import ToyEpoch

pytestmark = pytest.mark.filterwarnings("default::DeprecationWarning")  # those of the tools, of each other
VALUES = {"bits.conv1": 4, "lambda1": 0.5, "mask": "threshold", "seed": 7} | {
    f"w_bits.{n}": n for n in range(120)
}
"""More than MLflow takes in one message."""


class Shown(NamedTuple):
    """What a tool shows of one run."""

    params: dict[str, str]
    accuracy: dict[int, float]
    """By epoch."""
    state: str


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """No server and no account of whoever runs the tests."""
    for name in ("MLFLOW_TRACKING_URI", "WANDB_PROJECT", "WANDB_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WANDB_MODE", "offline")


def of_mlflow(directory: Path) -> dict[int, list[Shown]]:
    client = pytest.importorskip("mlflow").MlflowClient(f"sqlite:///{directory / 'mlflow.db'}")
    (experiment,) = [one for one in client.search_experiments() if one.name == "s"]
    shown: dict[int, list[Shown]] = {}
    for run in client.search_runs([experiment.experiment_id]):
        history = client.get_metric_history(run.info.run_id, "accuracy")
        assert len({point.step for point in history}) == len(history), "an epoch stands there twice"
        curve = {point.step: point.value for point in history}
        state = f"{run.data.tags['state']} {run.info.status}"
        assert run.data.tags["study"] == "s"
        assert run.info.run_name == f"s/{run.data.tags['trial']}"
        shown.setdefault(int(run.data.tags["trial"]), []).append(Shown(run.data.params, curve, state))
    return shown


def of_tensorboard(directory: Path) -> dict[int, list[Shown]]:
    read = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator").EventAccumulator
    hparams = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2").HParamsPluginData
    shown = {}
    for folder in (directory / "tensorboard").iterdir():
        events = read(str(folder))
        events.Reload()
        curve = (
            {one.step: one.value for one in events.Scalars("accuracy")} if events.Tags()["scalars"] else {}
        )
        assert len(curve) == len(events.Scalars("accuracy") if curve else ()), "an epoch stands there twice"
        texts = events.Tensors("state/text_summary")
        about = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        params = {
            name: str(getattr(value, value.WhichOneof("kind")))
            for name, value in hparams.FromString(about).session_start_info.hparams.items()
        }
        shown[int(folder.name)] = [Shown(params, curve, texts[-1].tensor_proto.string_val[0].decode())]
    return shown


def records_in(content: bytes) -> Iterator[bytes]:
    """The records of a log as LevelDB writes them, after 7 bytes that say whose it is: blocks of 32 KiB with parts of
    records, each after its checksum, its length, and its kind: whole, first, middle, last.
    """
    at, record = 7, b""
    while at + 7 <= len(content):
        if 2**15 - at % 2**15 < 7:
            at += 2**15 - at % 2**15
            continue
        length, kind = struct.unpack("<HB", content[at + 4 : at + 7])
        record += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield record
            record = b""


def of_wandb(directory: Path) -> dict[int, list[Shown]]:
    pytest.importorskip("wandb").teardown()  # its process writes the last records when it ends
    from wandb.proto.wandb_internal_pb2 import Record

    shown: dict[int, list[Shown]] = {}
    for file in (directory / "wandb").glob("offline-run-*/*.wandb"):
        config: dict[str, str] = {}
        curve: dict[int, float] = {}
        summary: dict[str, Any] = {}
        for data in records_in(file.read_bytes()):
            record = Record.FromString(data)
            config |= {one.key: str(json.loads(one.value_json)) for one in record.run.config.update}
            row = {one.key or one.nested_key[0]: json.loads(one.value_json) for one in record.history.item}
            if "accuracy" in row:
                assert row["_step"] not in curve, "an epoch stands there twice"
                curve[row["_step"]] = row["accuracy"]
            summary |= {
                one.key or one.nested_key[0]: json.loads(one.value_json) for one in record.summary.update
            }
        assert (config.pop("study"), file.name.endswith(f"-{config['trial']}.wandb")) == ("s", True)
        number = int(config.pop("trial"))
        config.pop("_wandb", None)
        shown.setdefault(number, []).append(
            Shown(config, curve, f"{summary['state']} {summary['error']}".strip())
        )
    return shown


READERS: dict[str, Callable[[Path], dict[int, list[Shown]]]] = {
    "mlflow": of_mlflow,
    "tensorboard": of_tensorboard,
    "wandb": of_wandb,
}


@pytest.fixture(params=READERS)
def tool(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each tool that is installed."""
    pytest.importorskip(LOGS[request.param])
    levels = {name: logging.getLogger(name).level for name in ("mlflow", "alembic")}
    yield request.param
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    os.environ.pop("MLFLOW_DISABLE_TELEMETRY", None)


class Driver:
    """Tells the entries of one driver, as a searcher does, and leaves the curves on disk, as workers do."""

    def __init__(self, request: Request, directory: Path) -> None:
        self._directory = directory
        self.said: list[str] = []
        self._telling = trackers.telling(request, directory, self.said.append)

    def __enter__(self) -> "Driver":
        self._tell = self._telling.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._telling.__exit__(None, None, None)
        assert not [line for line in self.said if "warning" in line]

    def run(self, number: int, *epochs: int, recorded: int = 0, state: str = "", error: str = "") -> None:
        """Train `epochs`, then change to `state`; the record had `recorded` epochs."""
        self._tell(Entry(number=number, values=VALUES, state="running", epoch=recorded))
        folder = self._directory / "trials" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        for epoch in epochs:
            metrics = {"accuracy": accuracy(number, epoch), "kl": float("nan")}
            ToyEpoch(epoch, 1.0, metrics).save(folder)
            self._tell(Entry(number=number, values=VALUES, state="running", epoch=epoch, metrics=metrics))
        if state:
            last = epochs[-1] if epochs else recorded
            self._tell(Entry(number=number, values=VALUES, state=state, epoch=last, error=error))


def accuracy(number: int, epoch: int) -> float:
    return number + epoch / 16


def test_a_trial_is_one_run_with_each_epoch_once_over_pauses_and_drivers(
    tool: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    request = request_of(name="s", log=tool, epochs=4)
    with Driver(request, tmp_path) as first:
        first.run(0, 1, state="paused")
        first.run(1, 1, state="paused")
        first.run(0, 2, 3, 4, recorded=1, state="complete")
        first.run(2, 1, 2)  # cut off: the record has epoch 1
        first.run(3, state="failed", error="ValueError: <b>no</b>")
    with Driver(request, tmp_path) as second:
        second.run(2, 2, 3, 4, recorded=1, state="complete")
        second.run(1, recorded=1, state="stopped")
    assert str(tmp_path) in first.said[0]
    shown = READERS[tool](tmp_path)
    assert {number: len(runs) for number, runs in shown.items()} == dict.fromkeys(range(4), 1)
    for number, (run,) in shown.items():
        numbers = "4.0" if tool == "tensorboard" else "4"
        assert run.params["bits.conv1"] == numbers
        assert run.params["mask"] == "threshold"
        assert run.params.keys() == VALUES.keys()
        assert run.accuracy == {epoch: accuracy(number, epoch) for epoch in range(1, (5, 2, 5, 1)[number])}
    expected = ["complete", "stopped", "complete", "failed"]
    assert [shown[number][0].state.split()[0] for number in range(4)] == expected
    if tool == "mlflow":
        assert [shown[n][0].state.split()[1] for n in range(4)] == [
            "FINISHED",
            "KILLED",
            "FINISHED",
            "FAILED",
        ]
    else:
        assert shown[3][0].state == "failed ValueError: <b>no</b>"


def test_nothing_is_written_through_a_link(
    tool: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    study, elsewhere = tmp_path / "study", tmp_path / "elsewhere"
    study.mkdir()
    elsewhere.mkdir()
    for name in ("mlflow.db", "tensorboard", "wandb"):
        (study / name).symlink_to(elsewhere / name)
    said: list[str] = []
    with trackers.telling(request_of(name="s", log=tool), study, said.append):
        pass
    assert [LinkError.__name__ in line for line in said] == [True]
    assert not list(elsewhere.iterdir())
