"""The model that --init trains, in `init/`: all trials of a study start from it, so it stays the same.

The record has the digest of its weights. A resume compares it, and all else that tells the model of another study,
before Ray starts and before anything is written.
"""

from collections.abc import Callable
from pathlib import Path

from study.execution import run_folder
from study.execution.worker import saved_epochs
from study.store.record import Record
from study.store.request import Request
from study_common import layout
from study_common.errors import LinkError, UserError
from study_common.layout import INIT_DIR, START_MODEL
from trainables.training import checkpoint

HALF_TRAINED = (layout.RESUME_FILE, layout.PREVIOUS_FILE)
"""Files that are there until the last epoch is saved."""


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
        run_folder.check(folder, study, config, str(request.data["fingerprint"]))
        known = record.attributes().get(START_MODEL)
        if known and (folder / layout.CHECKPOINT_FILE).exists() and not _half_trained(folder):
            if checkpoint.digest_of_weights(folder / layout.CHECKPOINT_FILE) != known:
                raise UserError(f"{folder} has other weights than those that the trials so far started from")
            if len(saved_epochs(folder, config.epochs)) < config.epochs:
                raise UserError(f"{folder / layout.CURVE_FILE} is missing or was altered")
    except LinkError:
        raise
    except UserError as error:
        reason = str(error).split("; ")[0]
        raise UserError(
            f"{reason}; restore {folder} from a copy, or remove it, so that the study trains this model again"
        ) from None


def is_gone(folder: Path) -> bool:
    """Tell whether nothing is left in the folder of a model from which it could be used or trained on."""
    return not (folder / layout.CHECKPOINT_FILE).exists() and not _half_trained(folder)


def note(model: Path, record: Record, say: Callable[[str], None]) -> None:
    """Write the digest of a trained model to the record, and say so if that of earlier trials was another."""
    digest, known = checkpoint.digest_of_weights(model), record.attributes().get(START_MODEL)
    if digest == known:
        return
    if known:
        say(
            "this model was trained again and came out different; trials from now on start from other weights"
        )
    record.set_attribute(START_MODEL, digest)


def _half_trained(folder: Path) -> bool:
    return any((folder / name).exists() for name in HALF_TRAINED)
