"""The model that --init trains, in `init/`: all trials of a study start from it, so it stays the same.

The record has the digest of its weights. A resume compares it, and all else that tells the model of another study,
before Ray starts and before anything is written; a worker compares it before each run that starts from the model.
"""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from study.execution import run_folder
from study.execution.batch import run_all
from study.execution.patience import Patience
from study.execution.worker import Job, Report, Train, saved_epochs
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.errors import LinkError, UserError
from study_common.layout import INIT_DIR, START_MODEL
from trainables.training import checkpoint


@dataclass(frozen=True, kw_only=True)
class StartModel:
    """A model that is trained, from which runs start."""

    path: Path
    """Its checkpoint."""
    weights: str
    """The digest of its weights."""

    @classmethod
    def at(cls, path: Path) -> "StartModel":
        """Return what is trained there; UserError as `checkpoint.read`."""
        return cls(path=path, weights=checkpoint.digest_of_weights(path))

    @property
    def settings(self) -> dict[str, str]:
        """What is added to the configuration of a run that starts from it."""
        return {"init": str(self.path)}


KINDS = {"float": "float model", "shared": "shared model of all widths"}
"""How a user is told of it, by --init."""


def check(request: Request, directory: Path, record: Record) -> None:
    """Check that what is in the folder of the model, if there is anything, is of this study.

    Args:
        request: The study.
        directory: Its directory.
        record: Its record.

    Raises:
        UserError: It is of another study, damaged, or a link. A study trains the model again if the folder is removed.
    """
    config, study = request.start(), directory.absolute()
    folder = study / INIT_DIR
    if config is None:
        return
    try:
        run_folder.check(folder, study, config, request.fingerprint)
        known = record.attributes().get(START_MODEL)
        if known and (folder / layout.CHECKPOINT_FILE).exists() and not run_folder.half_saved(folder):
            run_folder.check_weights(folder / layout.CHECKPOINT_FILE, known)
            if len(saved_epochs(folder, config.epochs)) < config.epochs:
                raise UserError(f"{folder / layout.CURVE_FILE} is missing or was altered")
    except LinkError:
        raise
    except UserError as error:
        reason = str(error).split("; ")[0]
        raise UserError(
            f"{reason}; restore {folder} from a copy, or remove it, so that the study trains this model again"
        ) from None


def trained(
    request: Request,
    directory: Path,
    record: Record,
    token: str,
    train: Train,
    stop: Callable[[], bool],
    patience: Patience,
    say: Callable[[str], None],
) -> StartModel:
    """Return the model that trials start from, training what it lacks; a connected Ray does the work.

    Args:
        request: A study with --init.
        directory: Its directory.
        record: Its record.
        token: That of the lease of this driver.
        train: What trains a configuration.
        stop: Asked about twice per second whether to stop.
        patience: How long a worker may say nothing.
        say: Shows a line to the user.

    Raises:
        InterruptedBatchError: `stop` returned true.
        UserError: It cannot be trained.
    """
    config, study = request.start(), directory.absolute()
    assert config, "a study with --init"
    folder = study / INIT_DIR
    model = folder / layout.CHECKPOINT_FILE
    if not model.exists() and not run_folder.half_saved(folder):  # a user may have kept the curves alone
        shutil.rmtree(folder, ignore_errors=True)
    kind, done = KINDS[request.init], len(saved_epochs(folder, config.epochs))
    say(f"all trials start from a {kind}: {done} of its {config.epochs} epochs are trained")

    def show(job: Job, report: Report) -> None:
        if report.error is None and report.epoch > done:
            say(f"{kind}: epoch {report.epoch} of {config.epochs}")

    job = Job(
        number=-1,
        flat=config.flat(),
        directory=folder,
        study=study,
        token=token,
        data=request.fingerprint,
        inputs=request.inputs,
    )
    (report,) = run_all([job], train, request.gpus_per_trial, stop, patience, show, say)
    if report.notice:
        say(report.notice)
    if report.error:
        raise UserError(f"the {kind} failed: {report.error}")
    found = StartModel.at(model)
    note(found, record, say)
    return found


def note(model: StartModel, record: Record, say: Callable[[str], None]) -> None:
    """Write the digest of a trained model to the record, and say so if that of earlier trials was another."""
    known = record.attributes().get(START_MODEL)
    if model.weights == known:
        return
    if known:
        say(
            "this model was trained again and came out different; trials from now on start from other weights"
        )
    record.set_attribute(START_MODEL, model.weights)
