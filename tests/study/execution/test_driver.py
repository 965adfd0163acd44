"""Studies on a real Ray with training that takes no time: how trials end, and what is found afterwards."""

import tomllib
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

import results
import study
from study.execution.batch import RETRIES
from study.store.directory import create
from study.store.request import Request
from study_common import layout
from study_common.errors import UserError
from study_common.layout import INIT_DIR
from tests.study import toys
from tests.study.execution.test_trackers import of_tensorboard

pytestmark = pytest.mark.usefixtures("local_ray")

SpecOf = Callable[..., study.Spec]


def test_every_trial_ends_as_what_it_is(spec_of: SpecOf, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = study.run_study(spec_of(trials=8, scheduler="fifo"), train=toys.troubled)
    assert (outcome.code, outcome.reason) == (1, ""), "most trials failed"
    out = capsys.readouterr().out
    assert "5 of 8 trials failed" in out
    assert "  1 x accuracy is nan, which is not a finite number" in out
    assert "  1 x faithfulness is inf, which is not a finite number" in out
    assert "  1 x RuntimeError: this trial raises" in out
    frame = results.load(outcome.directory).trials.set_index("number")
    failed = {1, 2, 4, 5, 6}
    assert {n for n, state in frame["state"].items() if state == "failed"} == failed
    assert {n for n, state in frame["state"].items() if state == "complete"} == {0, 3, 7}
    assert "this trial raises" in frame.loc[1, "error"]
    assert "not a finite number" in frame.loc[2, "error"]
    assert f"died {RETRIES + 1} times" in frame.loc[4, "error"]
    assert "MemoryError" in frame.loc[5, "error"]
    assert "not a finite number" in frame.loc[6, "error"]
    assert set(pd.read_csv(outcome.directory / "front.csv")["number"]) <= {0, 3, 7}
    raised, killed, gone = ((outcome.directory / f"trials/{n}/log.txt").read_text() for n in (1, 3, 4))
    assert "Traceback" in raised
    assert killed.index("from epoch 1") < killed.index("resuming it") < killed.index("from epoch 2")
    assert killed.count("from epoch") == 2
    assert gone.count("resuming it") == RETRIES


def test_the_last_trials_are_replicates_of_the_front(
    spec_of: SpecOf, capsys: pytest.CaptureFixture[str]
) -> None:
    outcome = study.run_study(spec_of(trials=6, replicates=2), train=toys.toy)
    assert (outcome.code, outcome.reason) == (0, "")
    assert "6 trials of up to 3 epochs, 2 of them replicates" in capsys.readouterr().out
    found = results.load(outcome.directory)
    assert (found.trials["seed"] != 0).tolist() == [False] * 4 + [True] * 2
    assert found.configurations["draws"].sum() == (found.trials["state"] == "complete").sum()
    assert found.configurations["draws"].max() > 1
    more = study.Changes(trials=8, replicates=4)
    assert study.resume_study(outcome.directory, changes=more, train=toys.toy).code == 0
    assert (results.load(outcome.directory).trials["seed"] != 0).sum() == 4


def test_the_trials_are_in_the_tool_of_the_log_too(spec_of: SpecOf) -> None:
    pytest.importorskip("tensorboard")
    directory = study.run_study(spec_of(trials=4, log="tensorboard"), train=toys.toy).directory
    assert study.resume_study(directory, trials=6, train=toys.toy).code == 0
    trials = results.load(directory).trials
    shown = {number: run for number, (run,) in of_tensorboard(directory).items()}
    assert [shown[number].state for number in range(6)] == trials["state"].tolist()
    for number, params in zip(trials["number"], trials["params.lambda1"], strict=True):
        curve = pd.read_csv(directory / "trials" / str(number) / "curve.csv").set_index("epoch")["accuracy"]
        assert shown[number].accuracy == pytest.approx(curve.to_dict())
        assert float(shown[number].params["lambda1"]) == pytest.approx(params)


def test_a_relative_directory_is_where_the_driver_is(
    spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers of this Ray began in another directory."""
    monkeypatch.chdir(tmp_path)
    outcome = study.run_study(spec_of(trials=2, runs_dir="runs", init="float"), train=toys.toy)
    assert (outcome.code, outcome.directory) == (0, Path("runs/s"))
    assert study.resume_study(Path("runs/s"), trials=4, train=toys.toy).code == 0
    assert "trainables.export runs/s/trials" in (tmp_path / "runs/s/report.html").read_text()


def test_a_worker_that_dies_between_two_trials_costs_none(spec_of: SpecOf) -> None:
    outcome = study.run_study(spec_of(trials=3, scheduler="fifo", workers=1), train=toys.dying_between)
    assert outcome.code == 0
    frame = results.load(outcome.directory).trials
    assert frame["state"].tolist() == ["complete"] * 3
    assert (outcome.directory / "trials/0" / toys.DIED).exists()


@pytest.mark.parametrize(("share", "seen"), [(0.0, ""), (0.5, "0")])
def test_a_trial_uses_a_gpu_only_if_it_is_given_a_share(
    share: float, seen: str, spec_of: SpecOf, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = study.run_study(
        spec_of(trials=2, gpus_per_trial=share, init="float"), toys.noting_gpus
    ).directory
    trained = [directory / INIT_DIR, directory / "trials/0", directory / "trials/1"]
    assert [(each / "gpus").read_text() for each in trained] == [seen] * 3
    assert ("--gpus-per-trial 0.5" in capsys.readouterr().out) == (not share)


@pytest.fixture(scope="module")
def twins(local_ray: None, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same study twice."""
    runs = tmp_path_factory.mktemp("runs")
    spec = {"space": "mixed_bits", "runs_dir": str(runs), "epochs": 3, "trials": 12, "workers": 1}
    return [study.run_study(study.Spec(name=name, **spec), train=toys.toy).directory for name in ("a", "b")]  # type: ignore[arg-type]


def test_the_same_seed_and_one_worker_give_the_same_study(twins: list[Path]) -> None:
    fronts = [(directory / "front.csv").read_text() for directory in twins]
    assert fronts[0] == fronts[1]
    frame = results.load(twins[0]).trials
    stopped = frame[frame["state"] == "stopped"]
    assert len(stopped)
    assert (stopped["epochs"] == 1).all()
    assert not set(stopped["number"]) & set(pd.read_csv(twins[0] / "front.csv")["number"])


def test_a_trial_that_paused_goes_on_where_it_was(twins: list[Path]) -> None:
    study = results.load(twins[0])
    ran = study.intervals.groupby("number").size()
    paused = ran[ran > 1].index
    assert len(paused)
    for number in paused:
        assert study.trials.set_index("number").loc[number, "epochs"] == 3
        log = (twins[0] / f"trials/{number}/log.txt").read_text()
        assert [line.split()[-1] for line in log.splitlines() if "from epoch" in line] == ["1", "2"]


def test_a_warm_start_tries_the_earlier_front(twins: list[Path]) -> None:
    earlier = twins[0]
    queue = study.plan(
        study.Spec(space="mixed_bits", runs_dir=str(earlier.parent), warm_start=earlier.name)
    ).queue
    front = pd.read_csv(earlier / "front.csv")
    inside = front[front["params.bits.conv1"] != 32]  # the float corner is no point of the space
    assert len(inside)
    assert [point["mask_ratio"] for point in queue[3:]] == inside["params.mask_ratio"].tolist()


def test_the_float_model_is_trained_once_unless_it_is_gone(spec_of: SpecOf) -> None:
    directory = study.run_study(spec_of(trials=2, init="float"), train=toys.toy).directory
    model, log = directory / INIT_DIR / layout.CHECKPOINT_FILE, directory / INIT_DIR / "log.txt"
    for number in range(2):
        flat = tomllib.loads((directory / f"trials/{number}/config.toml").read_text())
        assert flat["init"] == str(model)
    written = log.stat().st_mtime_ns
    assert study.resume_study(directory, trials=3, train=toys.toy).code == 0
    assert (log.stat().st_mtime_ns, log.read_text().count("from epoch 1")) == (written, 1)
    model.unlink()
    assert study.resume_study(directory, trials=4, train=toys.toy).code == 0
    assert model.exists()


def test_a_time_budget_is_also_that_of_the_float_model(spec_of: SpecOf) -> None:
    outcome = study.run_study(spec_of(init="float", time_budget_s=0.5, epochs=1000), train=toys.slow_toy)
    assert (outcome.code, outcome.reason) == (0, "the time budget is used up")
    assert not (outcome.directory / "trials").exists()


@pytest.mark.parametrize("init", ["", "float"])
def test_a_resume_without_the_gpus_of_its_trials_says_so(
    init: str, request_of: Callable[..., Request], tmp_path: Path
) -> None:
    request = request_of(gpus_per_trial=2, init=init)
    directory = create(request, str(tmp_path))
    with pytest.raises(UserError, match="no machine of this Ray has more than 1"):
        study.resume_study(directory, train=toys.toy)


def test_no_room_for_the_directory_is_bad_input(spec_of: SpecOf, small_disk: Path) -> None:
    (small_disk / "ballast").write_bytes(bytes(1024 * 1024 - 8192))
    with pytest.raises(UserError, match=r"room|full"):
        study.run_study(spec_of(runs_dir=str(small_disk)), train=toys.toy)
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


@pytest.mark.slow
def test_a_time_budget_leaves_trials_that_a_resume_continues(spec_of: SpecOf) -> None:
    outcome = study.run_study(spec_of(trials=6, time_budget_s=3.0), train=toys.endless)
    assert (outcome.code, outcome.reason) == (0, "the time budget is used up")
    assert set(results.load(outcome.directory).trials["state"]) == {"running"}
    assert study.resume_study(outcome.directory, train=toys.toy).code == 0
    frame = results.load(outcome.directory).trials
    assert len(frame) == 6
    assert set(frame["state"]) <= {"complete", "stopped"}


def test_a_model_that_only_the_driver_can_import_is_refused_and_nothing_is_written(
    spec_of: SpecOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The workers of this Ray began before the folder was on Python's path."""
    (tmp_path / "only_here.py").write_text("from tests.trainables.models.nets import Plain\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(
        UserError, match="a worker cannot build the model only_here:Plain: there is no module only_here on"
    ):
        study.run_study(spec_of(model="only_here:Plain"), train=toys.toy)
    assert not (tmp_path / "s").exists()
