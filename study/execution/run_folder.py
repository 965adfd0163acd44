"""The directory of a run names its configuration, and its files are used only if they are unchanged since written.

A directory belongs to one configuration: its settings, the images, and `RUN_VERSION`. All of these are compared before
anything in the directory is read. A directory of another configuration, for example after an old copy of the record was
restored, is renamed, and the run starts from the beginning.
"""

import csv
import json
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import tomli_w

from study_common import digests, layout
from study_common.documents import parse_json
from study_common.errors import UserError, listed
from study_common.files import read_text, refuse_links, replacing
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.description import check_begun, check_resumable

RUN_VERSION = 1
"""Increased when a change of the code changes the result of a run with the same settings."""
_RESULTS = (layout.CURVE_FILE, layout.CHECKPOINT_FILE, *layout.RESUME_FILES)
"""A directory with none of these has no results to protect."""
_FILES = (
    *_RESULTS, layout.CONFIG_FILE, layout.DIGESTS_FILE, layout.IDENTITY_FILE, layout.SALIENCY_FILE,
    layout.CONFUSION_FILE, layout.LOG_FILE,
)  # fmt: skip
"""What a run writes."""


def begin(directory: Path, study: Path, flat: Mapping[str, Any], data: str) -> str:
    """Prepare `directory` for the run of a configuration, and write that into it; arguments and result as below.

    Raises:
        UserError: The directory, or something in it, is a link.
    """
    notice = prepare(directory, identity(flat, study, data), study)
    with digests.sealed(directory / layout.CONFIG_FILE) as part:
        part.write_text(tomli_w.dumps(flat), encoding="utf-8")
    return notice


def identity(flat: Mapping[str, Any], study: Path, data: str) -> dict[str, Any]:
    """Return what identifies a configuration, wherever its files are.

    Args:
        flat: The settings by flat name.
        study: The directory of the study; a float model in it is identified by its path there.
        data: The fingerprint of the images, in place of the path of their directory.
    """
    settings = {name: value for name, value in flat.items() if name != "data_dir"}
    for name in ("init", "pretrained"):
        if settings.get(name):
            settings[name] = _content(Path(settings[name]), study)
    found = {"version": RUN_VERSION, "settings": settings, "data": data}
    return dict(json.loads(json.dumps(found)))


def prepare(directory: Path, mine: Mapping[str, Any], study: Path) -> str:
    """Prepare `directory` for the run with the identity `mine`; return a notice for the user, "" if there is none.

    Raises:
        UserError: The directory, or something in it, is a link.
    """
    refuse_links(directory, study)
    notice = ""
    if directory.exists():
        for file in directory.iterdir():
            refuse_links(file, study)
        if why := _not_ours(directory, mine):
            aside = next(path for n in count(1) if not (path := _aside(directory, n)).exists())
            directory.rename(aside)
            notice = f"{directory} {why}; it is now {aside.name}, and the run starts from the beginning"
    directory.mkdir(parents=True, exist_ok=True)
    if _identity_in(directory) != mine:
        with replacing(directory / layout.IDENTITY_FILE) as part:
            part.write_text(json.dumps(mine, indent=1), encoding="utf-8")
    return notice


def _not_ours(directory: Path, mine: Mapping[str, Any]) -> str:
    """Return why a directory that exists cannot be that of the run with the identity `mine`, "" if it can."""
    if odd := [name for name in _FILES if (directory / name).exists() and not (directory / name).is_file()]:
        return f"has something else in the place of the file {odd[0]}"
    found = _identity_in(directory)
    if found == mine or not any((directory / name).exists() for name in _RESULTS):
        return ""
    return "held another configuration's run" if found else f"has no readable {layout.IDENTITY_FILE}"


def check_weights(model: Path, weights: str, copy: Path | None = None) -> None:
    """Check that a model still has the weights that trials start from.

    Args:
        model: Its checkpoint.
        weights: The digest of those weights.
        copy: What is read in its place, on a machine that does not see it.

    Raises:
        UserError: It has others, is damaged, or is gone.
    """
    seen = copy or model
    remedy = "restore it from a copy, or remove its folder, so that the study trains this model again"
    try:
        found = checkpoint.digest_of_weights(seen)
    except UserError as error:
        reason = str(error).replace(str(seen), str(model)).split("; ")[0]
        raise UserError(f"{reason}; {remedy}") from None
    if found != weights:
        raise UserError(f"{model} has other weights than those that the trials so far started from; {remedy}")


def check(directory: Path, study: Path, config: Config, data: str) -> None:
    """Check that what is in the directory of a run, which may not exist, is of that run.

    Args:
        directory: The directory of the run.
        study: The directory of the study.
        config: The configuration that is trained there.
        data: The fingerprint of the images.

    Raises:
        UserError: It is of another run, its model is damaged, or something is a link or no file.
    """
    refuse_links(directory, study)
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UserError(f"{directory} is not a folder")
    for file in directory.iterdir():
        refuse_links(file, study)
    if why := _not_ours(directory, identity(config.flat(), study, data)):
        raise UserError(f"{directory} {why}")
    if (model := directory / layout.CHECKPOINT_FILE).exists():
        check_model(model, config, data)
    for name in layout.RESUME_FILES:
        with suppress(_DamagedError):  # a run goes on from the file before it
            if (directory / name).exists():
                check_model(directory / name, config, data)


def check_model(path: Path, config: Config, data: str) -> None:
    """Check that a model, or a file to resume from, is of the run with this configuration and these images.

    Raises:
        UserError: It is of another run, missing or damaged.
    """
    try:
        _, about = checkpoint.read(path)
        check_begun(path, about)
    except UserError as error:
        raise _DamagedError(str(error)) from None
    other = config.unlike(about["config"])
    if about["fingerprint"] != data:
        other.append("the images")
    if other:
        raise UserError(
            f"{path} is of another run, which differs in {listed(other)}; restore the study's own"
        )


class _DamagedError(UserError):
    """A file of weights cannot be used."""


def half_saved(directory: Path) -> bool:
    """Tell whether a run has files to resume from, which are removed when its last epoch is saved."""
    return any((directory / name).exists() for name in layout.RESUME_FILES)


def curve(directory: Path) -> list[dict[str, float]]:
    """Return the epochs of a run so far: epoch, seconds and metrics of each.

    They come from the learning curve, or from a resume file if the curve was altered since it was written. Without
    either the run has no epochs.
    """
    path = directory / layout.CURVE_FILE
    try:
        text = read_text(path)
        digests.check(path)
        return [
            {name: float(value) for name, value in row.items() if value}
            for row in csv.DictReader(text.splitlines())
        ]
    except (OSError, ValueError):
        pass
    for name in layout.RESUME_FILES:
        try:
            _, about = checkpoint.read(directory / name)
            check_resumable(directory / name, about)
            return list(about["curve"])
        except UserError:
            continue
    return []


def _aside(directory: Path, number: int) -> Path:
    return directory.with_name(f"{directory.name}.aside-{number}")


def _identity_in(directory: Path) -> Any:
    try:
        return parse_json(read_text(directory / layout.IDENTITY_FILE))
    except (OSError, ValueError):
        return None


def _content(path: Path, study: Path) -> str:
    """Return what identifies a file of weights: its path in the study, its digest, or its name if it is missing."""
    if path.is_relative_to(study):
        return str(path.relative_to(study))
    return digests.of(path) if path.is_file() else str(path)
