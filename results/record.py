"""The names under which a study is kept on disk: ``study`` writes them, ``results`` reads them.

A study is the directory ``runs/<name>/``. Its record is an Optuna study of the same name in ``study.db``;
what Optuna has no column for is one JSON object a trial (:class:`Result`) and three user attributes of the
study.
"""

from typing import TypedDict

FORMAT = 1
"""The ``format`` of the ``study.toml`` this version writes and reads."""

REQUEST_FILE = "study.toml"
RECORD_FILE = "study.db"
TRIALS_DIR = "trials"
INIT_DIR = "init"
TRIALS_FILE = "trials.parquet"
FRONT_FILE = "front.csv"
REPORT_FILE = "report.html"

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "stopped",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "running",
}
"""Optuna's state names and ours. ``WAITING`` is a trial that pauses at a rung: it has not ended, and may go on."""

RESULT = "result"
"""User attribute of a trial: its :class:`Result`, rewritten at each rung and at the end."""

REFUSED = "refused"
"""User attribute of the study: configurations refused before training, ``{"infeasible": n, "repeat": n}``."""

TAKEN_UP = "taken_up"
"""User attribute of the study: how many paused trials went on because the sampler would rather."""

EXHAUSTED = "exhausted"
"""User attribute of the study: true once its space has no feasible configuration left that was not tried."""

CONFIRMATIONS = "confirmations"
"""User attribute of the study: a list of :class:`Confirmation`."""

TEST_LOOKS = "test_looks"
"""User attribute of the study: the log of every look at the test split."""


class Rung(TypedDict):
    """What a trial reported at one rung."""

    epoch: int
    seconds: float
    metrics: dict[str, float]


class Spell(TypedDict):
    """A time that a trial ran without a pause: from its start to its last report, ISO-8601 UTC."""

    worker: str
    began: str
    ended: str | None


class Result(TypedDict):
    """What is known of a trial; ``metrics`` are the last rung's, times are ISO-8601 UTC."""

    seed: int
    epochs: int
    duration_s: float
    metrics: dict[str, float]
    rungs: list[Rung]
    error: str | None
    spells: list[Spell]
    started: str
    finished: str | None


class Confirmation(TypedDict):
    """One retraining of a trial's configuration, measured on the test split."""

    trial: int
    seed: int
    refit: bool
    metrics: dict[str, float]
    time: str
