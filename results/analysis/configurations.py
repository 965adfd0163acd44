"""What a trial was trained with: its configuration, the widths of its layers, and the command that exports it."""

import shlex
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import pandas as pd

from results.analysis.run_files import RunFiles
from results.analysis.studies import Study
from search_spaces.bits import is_width
from study_common import layout

WIDTH_KINDS = {"bits": ("weights", "activations"), "w_bits": ("weights",), "a_bits": ("activations",)}
"""Prefixes of width parameters, and what each sets in its layer."""


MAX_COLUMNS = 6
"""Widths that a table shows in a column each."""


def configuration(study: Study, trial: pd.Series, files: RunFiles | None = None) -> dict[str, Any]:
    """Return the flat configuration of a trial: its `config.toml`, or what the record knows without it.

    Args:
        study: The study of the trial.
        trial: A row of `study.trials` or `study.configurations`.
        files: The reader to use; it notes a file that is damaged or that is of another trial.
    """
    searched = {
        name.removeprefix("params."): trial[name]
        for name in trial.index
        if name.startswith("params.") and not pd.isna(trial[name])
    }
    files = files or RunFiles(study.path)
    return files.config(trial["number"], searched) or {**study.request.get("fixed", {}), **searched}


def layer_widths(study: Study, trial: pd.Series, files: RunFiles | None = None) -> dict[str, dict[str, int]]:
    """Return the bits of each layer that the trial names: `{"conv1": {"weights": 4, "activations": 8}}`."""
    found: dict[str, dict[str, int]] = {}
    for name, value in configuration(study, trial, files).items():
        prefix, _, layer = name.partition(".")
        for kind in WIDTH_KINDS.get(prefix, ()):
            found.setdefault(layer or "all layers", {})[kind] = int(value)
    return found


def searched_widths(study: Study) -> list[str]:
    """Return the names of the searched parameters that are widths: `bits.conv1`, ..."""
    return [name for name in study.distributions if is_width(name)]


def compact_widths(trials: pd.DataFrame, parameters: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
    """Join the widths of a model of more than `MAX_COLUMNS` layers into one column of each kind.

    Args:
        trials: One row per trial, params.* among its columns.
        parameters: The searched names, in the order of the layers.

    Returns:
        The rows with columns such as `params.bits`, "4 2x12 8": the widths in the order of the layers, `2x12` for
        twelve equal ones in a row; and the names that are left.
    """
    trials, left = trials.copy(), list(parameters)
    for kind in WIDTH_KINDS:
        mine = [name for name in left if name.startswith(f"{kind}.")]
        if len(mine) <= MAX_COLUMNS:
            continue
        values = trials[[f"params.{name}" for name in mine]].astype(object)
        trials[f"params.{kind}"] = [_runs(row) for row in values.itertuples(index=False, name=None)]
        left[left.index(mine[0])] = kind
        left = [name for name in left if name not in mine]
    return trials, left


def _runs(widths: Sequence[Any]) -> str:
    """Write equal widths in a row once.

    >>> _runs([4, 2, 2, 2, float("nan"), 8.0])
    '4 2x3 - 8'
    """
    shown = ["-" if pd.isna(width) else str(int(width)) for width in widths]
    counted = [(width, len(list(same))) for width, same in groupby(shown)]
    return " ".join(width if count == 1 else f"{width}x{count}" for width, count in counted)


def export_command(study: Study, trial: pd.Series) -> str:
    """Return the shell command that exports the trial's model into the directory of the study."""
    checkpoint = study.path / layout.TRIALS_DIR / str(trial["number"]) / layout.CHECKPOINT_FILE
    out = study.path / layout.EXPORTED_DIR / str(trial["number"])
    words = ["python", "-m", "trainables.export", str(checkpoint), "--out", str(out)]
    if target := study.request.get("target"):
        words += ["--target", target]
    return shlex.join(words)
