"""What is on disk and in the record, each name once: the files of a study and of a run, and the columns of the record.

A study is the directory `runs/<name>/`; a run is a directory of one training, such as `runs/<name>/trials/3/`. The
record is an Optuna study of the same name in `study.db`; what Optuna has no column for is one JSON object per trial
(`Result`) and the user attributes of the study. `study` and `trainables` write, `results` reads.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NotRequired, TypedDict

from study_common.errors import UserError, nearest

FORMAT = 3
"""The `format` of the `study.toml` that this version writes and reads."""

# The directory of a study.
REQUEST_FILE = "study.toml"
RECORD_FILE = "study.db"
LOCK_FILE = "driver.lock"
TRIALS_DIR = "trials"
INIT_DIR = "init"
EXPORTED_DIR = "exported"
"""Where the printed command exports a trial to, a folder of its number each."""
TRIALS_FILE = "trials.parquet"
WIDTHS_FILE = "widths.parquet"
"""The width table of a study with --init shared: estimates of the shared model, no trials."""
FRONT_FILE = "front.csv"
REPORT_FILE = "report.html"
FILES_FILE = "files.csv"
"""What became of each image file; only for data sets that are folders of images."""
MLFLOW_FILE = "mlflow.db"
TENSORBOARD_DIR = "tensorboard"
WANDB_DIR = "wandb"
"""Where the tools of --log write."""

# The directory of a run.
CONFIG_FILE = "config.toml"
CHECKPOINT_FILE = "checkpoint.safetensors"
"""The model alone, with its configuration and metrics: what evaluation and export read."""
RESUME_FILE = "resume.safetensors"
"""Model and optimiser: what a resume reads."""
PREVIOUS_FILE = "resume.previous.safetensors"
"""The resume file of the epoch before."""
RESUME_FILES = (RESUME_FILE, PREVIOUS_FILE)
"""Both, in the order in which they are tried; they are removed when the last epoch is saved."""
CURVE_FILE = "curve.csv"
"""The metrics of every epoch so far."""
DIGESTS_FILE = "SHA256SUMS"
"""The digests of the files of a run that are read back, and beside `study.toml` of that: see `digests`."""
IDENTITY_FILE = "identity.json"
"""Which configuration the directory belongs to; only in runs of a study."""
ALPHA_PREFIX = "alpha."
STEP_PREFIX = "step."
"""Columns of the curve such as `alpha.conv2` and `step.conv2`: what the quantisers learned, per layer."""
SALIENCY_FILE = "saliency.npz"
CONFUSION_FILE = "confusion.csv"
FAITHFULNESS_FILE = "faithfulness.json"
REMOVAL_FILE = "removal.csv"
LOG_FILE = "log.txt"

# What `trainables.export` writes.
PACKED_FILE = "model.packed"
ONNX_FILE = "model.onnx"
LOW_BIT_FILE = "model.lowbit.onnx"
QONNX_FILE = "model.qonnx"
CARD_FILE = "model_card.md"
HUB_CARD_FILE = "README.md"
"""The same card under the name that a model hub shows."""
EXAMPLE_FILE = "classify.py"
SALIENCY_IMAGE_FILE = "saliency.png"
LATENCY_FILE = "latency.json"
"""What `trainables.latency` measured of the models beside it, by their names."""

STATES = {
    "COMPLETE": "complete",
    "PRUNED": "stopped",
    "FAIL": "failed",
    "RUNNING": "running",
    "WAITING": "running",
}
"""Optuna's state names and ours. `WAITING` is a trial paused at a rung: it has not ended and may be resumed."""

RESULT = "result"
"""User attribute of a trial: its `Result`, rewritten at each rung and at the end."""

LEFT_OUT = "left_out"
"""User attribute of a row that another program enqueued and that is no trial of the study: why."""

REJECTED = "rejected"
"""User attribute of the study: configurations rejected before training, `{"infeasible": n, "repeat": n}`."""

RESUMED_BY_SAMPLER = "resumed_by_sampler"
"""User attribute of the study: how many paused trials the sampler preferred to a new one."""

EXHAUSTED = "exhausted"
"""User attribute of the study: true once all feasible configurations of its space have been tried."""

LEASE = "lease"
"""User attribute of the study: the `Holder` of the study; {} if nobody runs it."""

START_MODEL = "start_model"
"""User attribute of the study: the digest of the weights of the model of --init, once it is trained."""

VERSIONS = "versions"
"""User attribute of the study: a list of the package versions that replaced those of the launch, each with `since`, the
time from which they trained."""

CONFIRMATIONS = "confirmations"
"""User attribute of the study: a list of `Confirmation`."""

TEST_READS = "test_reads"
"""User attribute of the study: a log with one entry per reading of the test split."""


class Rung(TypedDict):
    """What a trial reported at one rung."""

    epoch: int
    seconds: float
    metrics: dict[str, float]


class RunInterval(TypedDict):
    """A time in which a trial trained without a pause, from its start to its last report (ISO-8601 UTC)."""

    worker: str
    started: str
    ended: str | None


class Result(TypedDict):
    """What is known of a trial: `metrics` are those of the last rung, times are ISO-8601 UTC."""

    seed: int
    epochs: int
    duration_s: float
    metrics: dict[str, float]
    rungs: list[Rung]
    error: str | None
    intervals: list[RunInterval]
    started: str
    finished: str | None
    rungs_digest: NotRequired[str]
    """`rungs_digest` of `rungs`, which most readers leave out."""
    digest: NotRequired[str]
    """`result_digest` of the other fields and of the trial's parameters when they were written."""


class Holder(TypedDict, total=False):
    """The driver that runs a study."""

    token: str
    beat: int
    host: str
    pid: int
    directory: str


class Confirmation(TypedDict):
    """One retraining of a trial's configuration, measured on the test split."""

    trial: int
    seed: int
    refit: bool
    metrics: dict[str, float]
    time: str
    digest: str
    """`confirmation_digest` of the other fields."""


def result_digest(result: Mapping[str, object], params: Mapping[str, float]) -> str:
    """Return a digest of a `Result` without its rungs and of the parameters; it reveals a damaged record.

    Args:
        result: The `Result`; a `digest` in it does not count.
        params: The parameters as Optuna stores them, a choice as its index.
    """
    kept = {name: value for name, value in result.items() if name not in ("rungs", "digest")}
    stored = {name: float(value) for name, value in params.items()}
    return hashlib.sha256(json.dumps([kept, stored], sort_keys=True).encode()).hexdigest()[:16]


def rungs_digest(rungs: Sequence[Rung]) -> str:
    """Return a digest of the rungs of a `Result`; it reveals a damaged record."""
    return hashlib.sha256(json.dumps(list(rungs), sort_keys=True).encode()).hexdigest()[:16]


def sealed(result: Result, params: Mapping[str, float]) -> Result:
    """Return a `Result` with its digests, by which a reader tells a damaged record; `params` as in `result_digest`."""
    whole: Result = {**result, "rungs_digest": rungs_digest(result["rungs"])}
    return {**whole, "digest": result_digest(whole, params)}


def confirmation_digest(confirmation: Mapping[str, object]) -> str:
    """Return a digest of a `Confirmation` without its `digest`; it reveals a damaged record."""
    kept = {name: value for name, value in confirmation.items() if name != "digest"}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def study_names(runs_dir: str) -> list[str]:
    """Return the names of the studies under `runs_dir`, sorted."""
    return sorted(path.parent.name for path in Path(runs_dir).glob(f"[!.]*/{REQUEST_FILE}"))


def find_study(name: str, runs_dir: str) -> Path:
    """Return the directory of the study `name`: a name under `runs_dir`, or a path.

    Raises:
        UserError: There is none; the message names the nearest.
    """
    for path in (Path(runs_dir, name), Path(name)):
        if (path / REQUEST_FILE).is_file():
            return path
    if Path(name).name != name:
        raise UserError(f"no study at {name}: it has no {REQUEST_FILE}; give a study's name or directory")
    known = study_names(runs_dir)
    hint = (
        f"did you mean {nearest(name, known)!r}?"
        if known
        else "start one with python -m study.launch, or say with --runs-dir where to look"
    )
    raise UserError(f"no study {name!r} under {runs_dir}; {hint}")
