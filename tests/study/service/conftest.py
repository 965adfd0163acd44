"""A directory with one made-up study, and clients of a service over it, in this process."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import optuna
import pytest
from starlette.testclient import TestClient

from study.planning.plan import plan
from study.planning.spec import Spec
from study.service import tokens
from study.service.app import application
from study.service.settings import Settings, allowed_datasets, allowed_spaces
from study.service.workplace import Workplace
from tests.results import sample
from trainables.choices import MODELS

optuna.logging.set_verbosity(optuna.logging.WARNING)

EVIL = "<script>window.evil = 1</script><img src=x onerror='window.evil = 1'>\"'&amp;"


@cache
def planned() -> dict[str, Any]:
    """The tables of the `study.toml` of a launch, where a driver needs more than the sample of the analysis has."""
    spec = Spec(space="mixed_bits", trials=60, epochs=9, workers=2, sampler="tpe")
    document = plan(spec).document()
    return {name: document[name] for name in ("request", "fixed", "queue", "space")}


def write_study(path: Path, rows: Iterable[optuna.trial.FrozenTrial], **changes: Any) -> None:
    """Write a made-up study that a driver could continue; `changes` as of `sample.request`."""
    sample.write_study(path, rows, **{**planned(), **changes})


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of 24 trials, to copy: one runs, one failed with HTML in its error, one left its maps."""
    path = tmp_path_factory.mktemp("original") / "sample"
    rows = list(sample.trials(23))
    metrics: list[dict[str, float]] = []
    failed = sample.result(23, metrics, [], error=EVIL)
    rows.append(sample.trial(rows[0].params, failed, optuna.trial.TrialState.FAIL))
    write_study(path, rows)
    sample.write_saliency(path, 0)
    folder = path / "trials" / "22"
    folder.mkdir(parents=True)
    (folder / "log.txt").write_text("first line\n" + EVIL + "\x1b[31m\n")
    return path


@pytest.fixture
def runs(original: Path, tmp_path: Path) -> Path:
    """A directory with a copy of it."""
    shutil.copytree(original, tmp_path / "runs" / "sample")
    return tmp_path / "runs"


def settings_of(runs: Path, **changes: object) -> Settings:
    given = {"spaces": allowed_spaces([]), "datasets": allowed_datasets([]), "models": MODELS}
    return Settings(**{"runs_dir": runs, **given, **changes})  # type: ignore[arg-type]


@pytest.fixture
def settings(runs: Path) -> Settings:
    return settings_of(runs)


@pytest.fixture
def workplace(runs: Path) -> Workplace:
    return Workplace(runs)


ClientOf = Callable[..., TestClient]


@pytest.fixture
def client_of(runs: Path, workplace: Workplace) -> Iterator[ClientOf]:
    """Return a function that makes a client of a service; `token` is its token, "" for none."""
    opened: list[TestClient] = []

    def make(token: str | None = None, **changes: object) -> TestClient:
        app = application(settings_of(runs, **changes), workplace)
        given = tokens.issue(workplace.key(), 60) if token is None else token
        headers = {"Authorization": f"Bearer {given}"} if given else {}
        client = TestClient(app, base_url="http://127.0.0.1:8000", headers=headers, follow_redirects=False)
        opened.append(client)
        return client

    yield make
    for client in opened:
        client.close()


@pytest.fixture
def client(client_of: ClientOf) -> TestClient:
    """A client with a valid token."""
    return client_of()
