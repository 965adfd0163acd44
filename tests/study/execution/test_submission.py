"""A launch as a job of a running Ray: what travels, what is refused, and a job on a real head."""

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import results
from study.execution.submission import check, packed
from study.planning.spec import Spec
from study_common.errors import UserError
from tests.study import drive
from tests.study.execution.test_cluster import PIPED, RAY, make_token, node

PORT = 28265


def spec(**given: object) -> Spec:
    return Spec(**{"space": "mixed_bits", "runs_dir": "/shared/runs", **given})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"address": "10.0.0.1:6379"}, "leave out --address"),
        ({"runs_dir": "runs"}, "--runs-dir runs .* give an absolute path"),
        ({"data_dir": "images"}, "--data-dir images"),
        ({"labels": "labels.csv"}, "--labels"),
        ({"masks": "../masks"}, "--masks"),
        ({"fixed": {"data_dir": "images"}}, "--set data_dir images"),
        ({"fixed": {"init": "float/checkpoint.safetensors"}}, "--set init"),
        ({"weights": os.path.relpath(__file__)}, "--weights .*test_submission.py"),
        ({"storage": "postgresql://me:secret@db/studies"}, "take the password out of --storage"),
    ],
)
def test_what_the_job_would_look_for_elsewhere_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(UserError, match=why):
        check(spec(**given))


@pytest.mark.parametrize(
    "form", [["--submit", "http://h:8265"], ["--submit=http://h:8265"], ["--sub", "http://h:8265"]]
)
def test_the_job_runs_the_command_as_it_was_typed_but_for_the_submission(
    form: list[str], tmp_path: Path
) -> None:
    words = ["--space", "mixed_bits", *form, "--set", "lambda1=0.5", "--name", "my study"]
    launch = packed(spec(), words, tmp_path)
    assert shlex.split(launch) == [
        *(
            "python",
            "-m",
            "study.launch",
            "--space",
            "mixed_bits",
            "--set",
            "lambda1=0.5",
            "--name",
            "my study",
        ),
        *("--address", "auto"),
    ]
    assert packed(spec(address="auto"), ["--address", "auto"], tmp_path).count("--address") == 1


def test_weights_with_a_name_and_a_url_without_a_password_are_taken() -> None:
    check(spec(weights="IMAGENET1K_V1", storage="postgresql://me@db/studies"))


def test_files_that_the_command_names_travel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also a space and a target of one name, a module in a package, and a path of the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    for path in ("spaces/mine.toml", "targets/mine.toml", "nets.py", "own/__init__.py", "own/nets.py"):
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_text(f"name = '{path}'")
    spelled = {"space": "~/spaces/mine.toml", "target": "targets/mine.toml"}
    for number, (model, sources) in enumerate(
        {"nets:make": ["nets.py"], "own.nets:make": ["own/__init__.py", "own/nets.py"]}.items()
    ):
        folder = tmp_path / f"job{number}"
        folder.mkdir()
        words = ["--space", spelled["space"], f"--target={spelled['target']}", "--model", model]
        launch = shlex.split(packed(spec(**spelled, model=model), words, folder))
        assert launch[3:8] == ["--space", "space/mine.toml", "--target=target/mine.toml", "--model", model]
        found = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.*"))
        assert found == [*sources, "space/mine.toml", "target/mine.toml"]
        assert (folder / "space/mine.toml").read_text() == "name = 'spaces/mine.toml'"


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"there is no file missing\.toml"):
        packed(spec(space="missing.toml"), [], tmp_path)


def test_a_ray_that_cannot_be_reached_is_one_clear_line(command: Callable[..., tuple[int, str, str]]) -> None:
    words = ["--space", "mixed_bits", "--runs-dir", "/nowhere", "--submit", "http://127.0.0.1:1"]
    code, out, error = command("study.launch", *words)
    assert (code, out) == (2, "")
    assert "the Ray at http://127.0.0.1:1 takes no job" in error
    assert len(error.strip().splitlines()) == 1


@pytest.fixture
def head(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a Ray of two CPUs with a dashboard, as docs/cluster.md says, and return the address of the latter."""
    make_token(tmp_path, monkeypatch)
    with node("--head", "--port=0", "--num-cpus=2", f"--dashboard-port={PORT}"):
        yield f"http://127.0.0.1:{PORT}"


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_job_outlives_the_command_is_followed_and_stopped_and_loses_nothing(
    head: str, stripes: Path, tmp_path: Path
) -> None:
    given = (
        f"--space mixed_bits --dataset folder --data-dir {stripes} --set image_size=16 --name s --trials 500"
    )
    words = [
        *given.split(),
        "--set",
        "batch_size=16",
        "--epochs",
        "3",
        "--runs-dir",
        str(tmp_path / "runs"),
        "--submit",
        head,
    ]
    launched = subprocess.run(
        [sys.executable, "-m", "study.launch", *words], cwd=drive.ROOT, capture_output=True, text=True
    )
    assert launched.returncode == 0, launched.stderr
    job = re.search(r"job (\S+) runs at", launched.stdout)
    assert job, launched.stdout

    def ask(verb: str) -> str:
        asked = [RAY, "job", verb, "--address", head, job[1]]
        return subprocess.run(asked, **{**PIPED, "timeout": 120}).stdout  # type: ignore[call-overload]

    def wait(for_: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 240
        while not for_():
            assert time.monotonic() < deadline, ask("logs")
            time.sleep(1)

    wait(lambda: re.search(r"^trials [2-9]", ask("logs"), re.MULTILINE) is not None)
    assert "RUNNING" in ask("status")
    ask("stop")
    wait(lambda: "stopped by SIGTERM" in ask("logs"))
    study = results.load(tmp_path / "runs" / "s")
    assert len(study.trials) >= 2
    assert not set(study.trials["state"]) & {"failed"}
    wait((study.path / "report.html").is_file)
