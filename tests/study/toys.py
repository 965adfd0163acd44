"""Training that takes no time, with the shape of the real one: for tests of the engine and its overhead."""

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from study.execution.worker import train
from study_common import digests, layout
from trainables import Config, Epoch, dataset_facts
from trainables.training import checkpoint

ESTIMATED = "estimated.txt"
"""A file beside a shared model: the configurations that were estimated with it."""
DIED = "died"
"""A file in the directory of a trial whose worker died."""


@dataclass(frozen=True)
class ToyEpoch:
    """An epoch that is only a row of the learning curve."""

    number: int
    seconds: float
    metrics: dict[str, float]

    def save(self, directory: Path) -> None:
        path = directory / "curve.csv"
        lines = (
            path.read_text().splitlines()
            if path.exists()
            else [",".join(["epoch", "seconds", *self.metrics])]
        )
        lines = [line for line in lines if not line.startswith(f"{self.number},")]
        lines.append(",".join(map(repr, [self.number, self.seconds, *self.metrics.values()])))
        with digests.sealed(path) as draft:
            draft.write_text("\n".join(lines) + "\n")


def metrics_of(flat: Mapping[str, Any], epoch: int) -> dict[str, float]:
    """A smooth stand-in for what training measures: more bits and more epochs help, with diminishing returns."""
    widths = [bits for name, bits in flat.items() if name.startswith(("w_bits", "a_bits"))]
    quality = sum(1 - 2.0**-bits for bits in widths) / len(widths)
    grown = 1 - 0.5**epoch
    flops = float(sum(bits for name, bits in flat.items() if name.startswith("w_bits"))) * 1e5
    return {
        "accuracy": 0.2 + 0.7 * quality * grown,
        "faithfulness": 0.5 * grown / (1 + abs(flat["lambda1"] - 1.0)),
        "flops": flops,
        "bops": 32 * flops,
        "size_bytes": flops / 10,
    }


def toy(flat: Mapping[str, Any], directory: Path, pause: float = 0.0) -> Iterator[ToyEpoch]:
    """Train nothing, going on from the learning curve in `directory`; leave a model that trials can start from."""
    path = directory / "curve.csv"
    done = len(path.read_text().splitlines()) - 1 if path.exists() else 0
    for number in range(done + 1, flat["epochs"] + 1):
        time.sleep(pause)
        if directory.name == layout.INIT_DIR:
            data = dataset_facts(Config.parse(flat)).fingerprint
            checkpoint.write(
                directory / layout.CHECKPOINT_FILE, {}, {"config": dict(flat), "fingerprint": data}
            )
        yield ToyEpoch(number, pause, metrics_of(flat, number))


def estimate(flat: Mapping[str, Any], pause: float = 0.0) -> Mapping[str, float]:
    """What training would measure, with a line in the log of the shared model."""
    time.sleep(pause)
    with (Path(flat["init"]).parent / ESTIMATED).open("a") as file:
        file.write(f"{[flat[name] for name in flat if name.startswith('w_bits')]}\n")
    return metrics_of(flat, flat["epochs"])


def noting_gpus(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """Train nothing and write down which GPUs could be used."""
    (directory / "gpus").write_text(os.environ.get("CUDA_VISIBLE_DEVICES", "all"))
    return toy(flat, directory)


def dying_between(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, but the first worker dies once it has ended its first trial, when it is given the second."""
    try:
        yield from toy(flat, directory)
    finally:
        if directory.name == "0" and not (directory / DIED).exists():
            (directory / DIED).touch()
            os.kill(os.getpid(), signal.SIGKILL)


def slow_toy(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, a tenth of a second an epoch."""
    return toy(flat, directory, pause=0.1)


def troubled(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, but trials 1 to 6 each end in a way of their own."""
    for epoch in toy(flat, directory):
        last = epoch.number == flat["epochs"]
        match int(directory.name):
            case 1:
                raise RuntimeError("this trial raises")
            case 2 if last:
                epoch = ToyEpoch(epoch.number, epoch.seconds, epoch.metrics | {"accuracy": float("nan")})
            case 3 if epoch.number == 2:
                _die_once(directory)
            case 4:
                os.kill(os.getpid(), signal.SIGKILL)
            case 5:
                raise MemoryError("no memory is left")
            case 6 if last:
                epoch = ToyEpoch(epoch.number, epoch.seconds, epoch.metrics | {"faithfulness": float("inf")})
        yield epoch


def _die_once(directory: Path) -> None:
    marker = directory / DIED
    if not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)


def bulky(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, with a checkpoint of 100 kB an epoch."""
    for epoch in toy(flat, directory):
        yield BulkyEpoch(epoch.number, epoch.seconds, epoch.metrics)


class BulkyEpoch(ToyEpoch):
    """An epoch with something to fill a disk with."""

    def save(self, directory: Path) -> None:
        (directory / f"ballast{self.number}").write_bytes(bytes(100_000))
        super().save(directory)


def endless(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, but no epoch ever ends."""
    return toy(flat, directory, pause=600.0)


SEEN = "seen"
"""A file in the directory of a study."""


def watched(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, but from the third trial on it waits for somebody to make the file `SEEN`."""
    for epoch in toy(flat, directory):
        while int(directory.name) > 1 and not (directory.parents[1] / SEEN).exists():
            time.sleep(0.1)
        yield epoch


def locking(flat: Mapping[str, Any], directory: Path) -> Iterator[ToyEpoch]:
    """As `toy`, but trial 2 holds the lock of the record for some seconds."""
    if int(directory.name) == 2:
        with contextlib.closing(sqlite3.connect(directory.parents[1] / "study.db")) as record:
            record.execute("begin immediate")
            time.sleep(6.0)
    yield from toy(flat, directory)


def greedy(flat: Mapping[str, Any], directory: Path, greedy: str) -> Iterator[ToyEpoch]:
    """As `toy`, but the run in the directory of that name takes memory, 100 MB at a time, up to 6 GB."""
    taken = [bytearray(b"x") * 10**8 for _ in range(60) if directory.name == greedy]
    assert not taken, "there was memory enough"
    return toy(flat, directory)


def damaging(flat: Mapping[str, Any], directory: Path) -> Iterator[Epoch]:
    """Train on real images; in epoch 4 the checkpoint of epoch 3 is damaged and the worker dies, once.

    That of trial 0 is cut short, in those of the others one bit is flipped.
    """
    for epoch in train(flat, directory):
        if epoch.number == 4 and not (directory / DIED).exists():
            path = directory / layout.RESUME_FILE
            content = bytearray(path.read_bytes())
            content[-100] ^= 1
            path.write_bytes(content if int(directory.name) else content[: len(content) // 2])
            _die_once(directory)
        yield epoch


def freezing(flat: Mapping[str, Any], directory: Path, at: int = 2) -> Iterator[ToyEpoch]:
    """As `toy`, but the worker of trial 1 is frozen in its epoch `at`, once."""
    for epoch in toy(flat, directory):
        if epoch.number == at and directory.name == "1" and not (directory / DIED).exists():
            (directory / DIED).touch()
            os.kill(os.getpid(), signal.SIGSTOP)
        yield epoch
