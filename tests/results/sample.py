"""Writes study directories as the engine leaves them, by Optuna's public API, for the tests of results.

The trials are made up but not arbitrary: costs are those of the CNN of paper B, accuracy saturates with the widths,
faithfulness grows with lambda1, so that figures made from them look like real ones.
"""

import datetime
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import tomli_w
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState

from study_common import digests, layout

LAYERS = {
    "conv1": (194_688, 320),
    "conv2": (10_616_832, 18_496),
    "fc1": (1_179_648, 1_179_776),
    "fc2": (1_280, 1_290),
}
WIDTHS = (2, 3, 4, 6, 8)
SPACE = {
    "lambda1": FloatDistribution(0.01, 10.0, log=True),
    "lambda2": CategoricalDistribution([0.0, 1e-5, 1e-4]),
    "mask_ratio": FloatDistribution(0.1, 0.9),
    **{f"bits.{layer}": CategoricalDistribution(WIDTHS) for layer in LAYERS},
}
OBJECTIVES = {
    "accuracy": {"direction": "max", "ideal": 1.0, "reference": 0.1},
    "flops": {"direction": "min", "ideal": 0.0, "reference": 11_992_448.0},
    "faithfulness": {"direction": "max", "ideal": 1.0, "reference": 0.0},
}
NOISY = ("metrics.accuracy", "metrics.faithfulness")
"""What another seed changes."""

START = datetime.datetime(2026, 5, 4, 9, 0, tzinfo=datetime.UTC)


def request(name: str = "sample", **changes: Any) -> dict[str, Any]:
    """The document of ``study.toml``; ``changes`` replace whole tables."""
    return {
        "format": layout.FORMAT,
        "name": name,
        "created": START.isoformat(),
        "command": f"python -m study.launch --space mixed_bits --name {name} --trials 60",
        "description": "All settings of SGT and PACT",
        "git_commit": "",
        "request": {
            "dataset": "fashion_mnist_small", "model": "paper_cnn", "preset": "best", "trials": 60, "epochs": 9,
            "workers": 2, "sampler": "tpe", "scheduler": "pareto_asha", "reduction_factor": 3, "seed": 0,
        },
        "fixed": {},
        "space": {"description": "All settings of SGT and PACT"},
        "objectives": OBJECTIVES,
        "constraints": {},
        "data": {"dataset": "fashion_mnist_small", "classes": 10, "fingerprint": "0f" * 8,
                 "train": 5000, "validation": 1000},
        "versions": {"python": "3.11.7", "optuna": optuna.__version__},
        **changes,
    }  # fmt: skip


def outcome(params: dict[str, Any], noise: np.random.Generator, progress: float = 1.0) -> dict[str, float]:
    """Metrics of a trial that got ``progress`` of its epochs."""
    widths = {layer: params[f"bits.{layer}"] for layer in LAYERS}
    lost = sum(0.25 / (width - 1) ** 2 for width in widths.values()) / len(widths)
    accuracy = np.clip(0.9 - lost - 0.3 * (1 - progress) - 0.01 * np.log10(params["lambda1"]) ** 2
                       + noise.normal(0, 0.01), 0, 1)  # fmt: skip
    faithful = np.clip(0.35 + 0.12 * np.log10(params["lambda1"]) - lost / 2 + noise.normal(0, 0.02), -1, 1)
    return {
        "accuracy": float(accuracy), "accuracy_se": float(np.sqrt(accuracy * (1 - accuracy) / 1000)),
        "sensitivity": float(accuracy), "specificity": float(1 - (1 - accuracy) / 9),
        "loss": float(2 * (1 - accuracy)), "kl": float(0.3 / (1 + params["lambda1"])),
        "mask_fraction": params["mask_ratio"],
        "faithfulness": float(faithful), "faithfulness_se": 0.015, "faithfulness_images": 256.0,
        "macs": float(sum(macs for macs, _ in LAYERS.values())),
        "flops": sum(macs * widths[layer] / 32 for layer, (macs, _) in LAYERS.items()),
        "bops": float(sum(macs * widths[layer] ** 2 for layer, (macs, _) in LAYERS.items())),
        "size_bytes": float(sum(-(-size * widths[layer] // 8) for layer, (_, size) in LAYERS.items())),
        "train_loss": float(2.2 * (1 - accuracy)),
    }  # fmt: skip


def result(number: int, metrics: list[dict[str, float]], epochs: list[int], **changes: Any) -> dict[str, Any]:
    """A trial's result after the rungs ``epochs``; trials alternate between two workers."""
    started = START + datetime.timedelta(seconds=20 * (number // 2))
    spent = 2.0 * (epochs[-1] if epochs else 0)
    rungs = [{"epoch": e, "seconds": 2.0, "metrics": m} for e, m in zip(epochs, metrics, strict=True)]
    return {
        "seed": number, "epochs": epochs[-1] if epochs else 0, "duration_s": spent,
        "metrics": metrics[-1] if metrics else {}, "rungs": rungs, "error": None,
        "intervals": [interval(f"laptop:{number % 2}", started, spent)],
        "started": started.isoformat(), "finished": (started + datetime.timedelta(seconds=spent)).isoformat(),
        **changes,
    }  # fmt: skip


def interval(worker: str, began: datetime.datetime = START, seconds: float = 2.0) -> dict[str, str]:
    """A time that a trial ran."""
    ended = began + datetime.timedelta(seconds=seconds)
    return {"worker": worker, "started": began.isoformat(), "ended": ended.isoformat()}


def trials(count: int, seed: int = 0) -> Iterable[optuna.trial.FrozenTrial]:
    """``count`` trials: most complete, every third stopped at a rung, some failed, the last one running."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        params = {name: _draw(distribution, rng) for name, distribution in SPACE.items()}
        state, epochs = TrialState.COMPLETE, [1, 3, 9]
        if number == count - 1:
            state, epochs = TrialState.RUNNING, [1]
        elif number % 20 == 13:
            state, epochs = TrialState.FAIL, [1]
        elif number % 3 == 2:
            state, epochs = TrialState.PRUNED, [1, 3][: 1 + number % 2]
        metrics = [outcome(params, rng, epoch / 9) for epoch in epochs]
        changes: dict[str, Any] = {}
        if state == TrialState.FAIL:
            changes["error"] = (
                f"NonFiniteLoss: the loss was nan in epoch 2 with lambda1={params['lambda1']:.3g}"
            )
        if state == TrialState.RUNNING:
            changes["finished"] = None
        yield trial(params, result(number, metrics, epochs, **changes), state)


def trial(
    params: dict[str, Any],
    result: dict[str, Any],
    state: TrialState = TrialState.COMPLETE,
    objectives: Iterable[str] = OBJECTIVES,
    space: dict[str, Any] = SPACE,
) -> optuna.trial.FrozenTrial:
    """A trial as it stands in the record."""
    values = [result["metrics"][name] for name in objectives] if state == TrialState.COMPLETE else None
    stored = {name: space[name].to_internal_repr(value) for name, value in params.items()}
    return optuna.trial.create_trial(
        state=state,
        values=values,
        params=params,
        distributions={name: space[name] for name in params},
        user_attrs={layout.RESULT: layout.sealed(result, stored)},
    )


def write_study(
    path: Path,
    rows: Iterable[optuna.trial.FrozenTrial],
    attributes: dict[str, Any] | None = None,
    **changes: Any,
) -> Path:
    """Write the study directory ``path`` and return it; ``changes`` as of :func:`request`."""
    path.mkdir(parents=True)
    document = request(changes.pop("name", path.name), **changes)
    write(path / layout.REQUEST_FILE, tomli_w.dumps(document))
    storage = optuna.storages.RDBStorage(f"sqlite:///{path / layout.RECORD_FILE}")
    directions = {"max": "maximize", "min": "minimize"}
    study = optuna.create_study(
        storage=storage,
        study_name=document["name"],
        directions=[directions[pair["direction"]] for pair in document["objectives"].values()],
    )
    for key, value in (attributes or {}).items():
        study.set_user_attr(key, value)
    study.add_trials(rows)
    storage.remove_session()
    storage.engine.dispose()
    return path


def confirm(path: Path, rows: pd.DataFrame, noise: np.random.Generator, seeds: int = 4) -> None:
    """Record confirmations of the trials ``rows``: ``seeds`` retrainings each, a point below what the search saw."""
    made = [
        {
            "trial": int(row["number"]), "seed": seed, "refit": False, "time": START.isoformat(),
            "metrics": {
                name.removeprefix("metrics."): float(value) - (noise.normal(0.01, 0.004) if name in NOISY else 0.0)
                for name, value in row.items() if name.startswith("metrics.")
            },
        }
        for _, row in rows.iterrows() for seed in range(seeds)
    ]  # fmt: skip
    made = [{**entry, "digest": layout.confirmation_digest(entry)} for entry in made]
    with opened(path) as study:
        study.set_user_attr(layout.CONFIRMATIONS, made)
        study.set_user_attr(layout.TEST_READS, [{"trial": one["trial"], "seed": one["seed"]} for one in made])


@contextmanager
def opened(path: Path) -> Iterator[optuna.Study]:
    """The record of the study directory ``path`` through Optuna."""
    storage = optuna.storages.RDBStorage(f"sqlite:///{path / layout.RECORD_FILE}")
    yield optuna.load_study(study_name=storage.get_all_studies()[0].study_name, storage=storage)
    storage.remove_session()
    storage.engine.dispose()


def set_journal(path: Path, mode: str) -> None:
    """Switch the record to the journal ``mode``; a driver leaves it in WAL."""
    with closing(sqlite3.connect(path / layout.RECORD_FILE)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")


def write_saliency(path: Path, number: int, images: int = 8, seed: int = 0) -> None:
    """Write ``trials/<number>/saliency.npz``: blobs, the same for every trial, with maps that peak on them."""
    shared, rng = np.random.default_rng(seed), np.random.default_rng(seed + number)
    y, x = np.mgrid[:28, :28]
    centres = shared.uniform(8, 20, (images, 2, 1, 1))
    blobs = np.exp(-((y - centres[:, 0]) ** 2 + (x - centres[:, 1]) ** 2) / 30)
    labels = shared.integers(0, 10, images)
    folder = path / layout.TRIALS_DIR / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    fraction = np.arange(10) / 10
    kept = {"morf": (1 - fraction) ** 3, "lerf": 1 - fraction**3, "random": 1 - fraction}
    np.savez(
        folder / "saliency.npz",
        images=(255 * blobs).astype(np.uint8),
        labels=labels,
        predictions=np.where(rng.random(images) < 0.8, labels, (labels + 1) % 10),
        maps=(blobs * rng.random(blobs.shape)).astype(np.float16),
        class_names=np.array([f"class {k}" for k in range(10)]),
        curve_order=np.repeat(list(kept), 10),
        curve_fraction=np.tile(fraction, 3),
        curve_kept=np.concatenate(list(kept.values())),
        curve_accuracy=0.8 * np.concatenate(list(kept.values())),
    )
    digests.seal(folder / "saliency.npz")


def write_confusion(path: Path, number: int, names: Sequence[str], seed: int = 0) -> pd.DataFrame:
    """Write ``trials/<number>/confusion.csv``, ten images of each class, and return it."""
    rng = np.random.default_rng(seed + number)
    odds = np.full((len(names), len(names)), 0.2 / (len(names) - 1)) + np.eye(len(names)) * 0.6
    matrix = pd.DataFrame(rng.multinomial(10, odds / odds.sum(1, keepdims=True)), names, names)
    folder = path / layout.TRIALS_DIR / str(number)
    folder.mkdir(parents=True, exist_ok=True)
    matrix.to_csv(folder / "confusion.csv", index_label="class")
    digests.seal(folder / "confusion.csv")
    return matrix


def write(file: Path, text: str) -> None:
    """Write a file and its digest, as a run does."""
    file.write_text(text, encoding="utf-8")
    digests.seal(file)


def _draw(distribution: Any, rng: np.random.Generator) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[rng.integers(len(distribution.choices))]
    if distribution.log:
        return float(np.exp(rng.uniform(np.log(distribution.low), np.log(distribution.high))))
    return float(rng.uniform(distribution.low, distribution.high))
