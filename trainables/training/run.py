"""One training run as a generator of epochs: `for epoch in epochs(config): epoch.save(directory)`.

Read from the top: what an epoch is, the loop over epochs, one epoch, and then the parts that the loop is made of.
Everything random in epoch e comes from (seed, e), so a run resumed at any epoch equals the unbroken run.
"""

import json
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor
from torch.nn.utils import parametrize

from study_common import layout
from study_common.digests import sealed
from study_common.errors import NonFiniteError, UserError, listed
from trainables.data import augmentation, batches
from trainables.quantisation.batchnorm import IMAGES, norms_of, settle
from trainables.quantisation.learned import collapsed_inputs, dead_inputs, learned
from trainables.quantisation.quantisers import calibrate, clipping_levels, keep_positive
from trainables.saliency.suite import Assessment
from trainables.training import checkpoint, gallery
from trainables.training.checks import check_run
from trainables.training.config import Config
from trainables.training.description import check_resumable
from trainables.training.device import arranged, resident, training_device
from trainables.training.evaluation import evaluate, measure_faithfulness, measure_localisation
from trainables.training.inputs import (
    check_images,
    data_of,
    described,
    masks_of,
    positive_index,
    scale_of,
)
from trainables.training.network import costs, load_start, new_model
from trainables.training.optimiser import autocast, optimizer
from trainables.training.sgt import Losses, class_weights, losses

log = logging.getLogger("trainables")
TERMS = tuple(field.name for field in fields(Losses))
READ_EVERY = (
    50  # steps: to read a loss makes a GPU wait for the host, so a bad one ends the run this much later
)
EPSILON_BOUNDS = (0.01, 0.99)  # KL falls as masking vanishes, so epsilon drifts to 0 and would turn SGT off


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One finished epoch."""

    number: int
    """1 for the first; 0 for the only one of a run of no epochs, which is measured as it starts."""
    seconds: float
    """Training and evaluation of this epoch."""
    metrics: dict[str, float]
    """Those of `evaluation.evaluate` and `network.costs`, `train_loss`, and at rungs and after the last epoch
    faithfulness and, with masks, localisation."""
    save: Callable[[Path], None]
    """Write the checkpoint, the curve and what a resume needs into a directory. The next epoch trains on the same
    tensors, so an epoch can be saved only until the next one is asked for; later it is an AssertionError."""


def epochs(config: Config, resume: Path | None = None) -> Iterator[Epoch]:
    """Train, one epoch each time the caller asks for one; deterministic for a seed on one thread.

    Args:
        config: What to train, on which images.
        resume: A directory in which an earlier run of the same configuration saved its epochs; without a usable file
            there the run starts at epoch 1.

    Yields:
        Each epoch as soon as it is trained and measured; with `config.epochs` 0 a single one, only measured.

    Raises:
        NonFiniteError: A term of the loss, or a saliency map, is infinite or NaN.
        UserError: Images, weights or files cannot be used.
    """
    run = Run(config)
    first = run.restore(resume) + 1 if resume else 1
    if first == 1 and config.epochs:
        run.warn("before epoch 1")
    for number in range(first, config.epochs + 1) if config.epochs else [0]:
        began = time.perf_counter()
        metrics = (run.epoch(number) if number else {}) | run.measure(number)
        seconds = time.perf_counter() - began
        run.finish(number, seconds, metrics)
        run.warn(f"after epoch {number}" if number else "after calibration")
        yield Epoch(number=number, seconds=seconds, metrics=metrics, save=partial(run.save, number))


class Run:
    """The moving parts of one run: model, optimiser, and the curve so far."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.device = training_device()
        check_run(config)
        self.data = data_of(config)
        self.images = resident(self.data.train, self.device)
        self.scale = scale_of(self.data, self.device)
        self.steps = len(self.data.train.labels) // config.batch_size
        self.sandwich = new_model(config, self.data)
        self.model = self.sandwich.model
        self.sandwich.parameters().to(self.device)
        self.prepare()
        self.optimizer = optimizer(self.sandwich.parameters(), config)
        self.class_weights: Tensor | None = None
        if config.balance == "loss":
            labels, classes = self.data.train.labels, len(self.data.class_names)
            self.class_weights = class_weights(labels, classes).to(self.device)
        self.curve: list[dict[str, float]] = []
        self.recorded: dict[str, float] = {}
        self.finished: int | None = None
        self.confusion: Tensor | None = None
        self.faithfulness: Assessment | None = None

    def prepare(self) -> None:
        """Start from the checkpoint of `init`, if there is one, and fit quantisers that it lacks to the first batch."""
        generator = torch.Generator().manual_seed(self.config.seed)
        is_fitted = bool(self.config.init) and load_start(self.model, self.config)
        self.model.to(memory_format=torch.channels_last)
        if is_fitted:
            self.settle(generator)  # the statistics of a shared model are of no one configuration
            return
        first = next(batches(self.images, self.config.batch_size, generator))
        X = arranged(self.scale(first.images))
        for _ in self.sandwich.each():
            calibrate(self.model, X, start=self.config.alpha_start, percentile=self.config.alpha_percentile)

    def warn(self, when: str) -> None:
        """Log the layers that quantisation has cut off: their input is constant, or their range has collapsed."""
        X = arranged(self.scale(self.images.images[: self.config.batch_size]))
        if dead := dead_inputs(self.model, X):
            log.warning(
                "%s: the quantised input of %s is constant; choose another alpha_init, or alpha_start=percentile",
                when, ", ".join(dead),
            )  # fmt: skip
        if collapsed := collapsed_inputs(self.model):
            log.warning(
                "%s: the clipping level of %s has collapsed; lower eta or lr_alpha",
                when,
                ", ".join(collapsed),
            )

    def epoch(self, number: int) -> dict[str, float]:
        """Train on every image once; the mean of L over the steps."""
        self.finished, config = None, self.config
        seed = config.seed * 100_003 + number
        generator = torch.manual_seed(seed)  # the global one: dropout uses it too
        on_cpu = self.device.type == "cpu"
        fill = self.scale.fill(
            config.fill, generator if on_cpu else torch.Generator(self.device).manual_seed(seed)
        )
        self.model.train()
        read: list[float] = []
        unread: list[Tensor] = []
        change = augmentation(config.dataset, config.augment)
        drawn = batches(self.images, config.batch_size, generator, drop_last=True)
        for step, (images, y) in enumerate(drawn, start=1):
            self.schedule((number - 1) * self.steps + step - 1)
            images = images.to(self.device, non_blocking=True)
            if change:
                images = change(images, generator)
            X, y = arranged(self.scale(images)), y.to(self.device, non_blocking=True)
            unread.append(self.step(X, y, fill))
            if step % READ_EVERY == 0 or step == self.steps:
                read += self.losses_of(unread, number)
                unread.clear()
        self.settle(generator)
        return {"train_loss": sum(read) / self.steps}

    def losses_of(self, steps: list[Tensor], number: int) -> list[float]:
        """Read what steps returned, which waits for the device: L of each; NonFiniteError names a bad term."""
        read = torch.stack(steps).cpu()
        if not read.isfinite().all():
            first = read[~read.isfinite().all(1)][0]
            bad = [name for name, value in zip(TERMS, first, strict=False) if not value.isfinite()] or [
                "total"
            ]
            raise NonFiniteError(
                f"epoch {number}: {', '.join(bad)} is not finite; lower lr or the weight of that term; "
                f"config {json.dumps(self.config.flat())}"
            )
        values: list[float] = read[:, -1].tolist()
        return values

    def settle(self, generator: torch.Generator) -> None:
        """Measure with the statistics of the network as it is now, at the widths of the run."""
        self.sandwich.select(self.config)
        if norms_of(self.model):
            size = self.config.batch_size
            drawn = batches(self.images, size, generator, drop_last=True)
            settle(self.model, (arranged(self.scale(b.images)) for b in islice(drawn, -(-IMAGES // size))))

    def step(self, X: Tensor, y: Tensor, fill: Callable[[Tensor], Tensor]) -> Tensor:
        """One update of theta, alpha and epsilon (A2 lines 3-10); returns the terms of L and L, (5,), on the device.

        A shared model sums the gradients, and the terms, of several configurations.
        """
        self.optimizer.zero_grad()
        terms = torch.stack([self.backward(X, y, fill) for _ in self.sandwich.passes()]).sum(0)
        self.optimizer.step()
        keep_positive(self.sandwich.parameters())
        if (epsilon := getattr(self.model, "epsilon", None)) is not None:
            with torch.no_grad():
                epsilon.clamp_(*EPSILON_BOUNDS)
        return terms

    def backward(self, X: Tensor, y: Tensor, fill: Callable[[Tensor], Tensor]) -> Tensor:
        """Add the gradient of L at the selected widths to the parameters; returns the terms of L and L, (5,)."""
        config = self.config
        with parametrize.cached(), autocast(config.precision, self.device):
            terms = losses(
                self.model, X, y,
                config=config, fill=fill, alphas=clipping_levels(self.model),
                epsilon=getattr(self.model, "epsilon", None), weights=self.class_weights,
            )  # fmt: skip
            loss = terms.total(config)
            trained = [parameter for parameter in self.model.parameters() if parameter.requires_grad]
            loss.backward(inputs=trained)  # not those of X, which S has had
        return torch.stack([*(getattr(terms, name) for name in TERMS), loss]).detach()

    def schedule(self, step: int) -> None:
        """Set every group's step size: cosine from its own start to 0 over the whole run, or constant."""
        share = step / (self.steps * self.config.epochs)
        factor = 0.5 * (1 + math.cos(math.pi * share)) if self.config.schedule == "cosine" else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = group["start"] * factor

    def measure(self, number: int) -> dict[str, float]:
        """Metrics on the validation split, and costs."""
        config = self.config
        positive = positive_index(config, self.data.class_names)
        measured, self.confusion = evaluate(
            self.model, self.data.validation, self.scale, config, positive=positive
        )
        if number == config.epochs or number in config.rungs:
            self.faithfulness = measure_faithfulness(
                self.model,
                self.data.validation,
                self.data,
                self.scale,
                config,
                whole_suite=number == config.epochs,
            )
            measured |= self.faithfulness.metrics()
            if config.masks:
                masks = masks_of(config)
                measured |= measure_localisation(self.model, self.data.validation, masks, self.scale, config)
        return measured | costs(config)

    def finish(self, number: int, seconds: float, metrics: dict[str, float]) -> None:
        """Add an epoch to the curve, with what the quantisers learned; from now on it can be saved."""
        self.recorded = {"epoch": number, "seconds": seconds, **metrics}
        self.curve.append(self.recorded | learned(self.model))
        self.finished = number

    def save(self, number: int, directory: Path) -> None:
        """Write checkpoint, curve and resume files of an epoch; of the last one pictures, and no resume files."""
        assert self.finished == number, "an epoch is saved before the next one is asked for"
        directory.mkdir(parents=True, exist_ok=True)
        about = {"config": self.config.flat(), "metrics": self.recorded, **described(self.data)}
        model = self.sandwich.state()
        checkpoint.write(directory / layout.CHECKPOINT_FILE, model, about)
        last = self.curve[-1]["epoch"] == self.config.epochs
        if last:
            self._write_pictures(directory)
        with sealed(directory / layout.CURVE_FILE) as part:  # now it counts
            pd.DataFrame(self.curve).to_csv(part, index=False)
        newest, older = directory / layout.RESUME_FILE, directory / layout.PREVIOUS_FILE
        if last:
            newest.unlink(missing_ok=True)
            older.unlink(missing_ok=True)
            return
        if newest.exists():
            newest.replace(older)
        state = {f"model.{name}": tensor for name, tensor in model.items()}
        for index, slots in self.optimizer.state_dict()["state"].items():
            state |= {f"optimizer.{index}.{slot}": tensor for slot, tensor in slots.items()}
        checkpoint.write(newest, state, {**about, "curve": self.curve})

    def _write_pictures(self, directory: Path) -> None:
        assert self.confusion is not None, "measured every epoch"
        assert self.faithfulness is not None, "measured at the last epoch"
        names = pd.Index(self.data.class_names, name="class")
        with sealed(directory / layout.CONFUSION_FILE) as part:
            pd.DataFrame(self.confusion.numpy(), names, names).to_csv(part)
        gallery.write(
            directory / layout.SALIENCY_FILE,
            self.model,
            self.data,
            self.scale,
            self.config,
            self.faithfulness,
        )

    def restore(self, directory: Path) -> int:
        """Load the newest intact generation in `directory`; the number of its epoch, 0 if there is none."""
        for path in (directory / name for name in layout.RESUME_FILES):
            if not os.path.lexists(path):  # a link to nothing is damage, not a file that is not there yet
                continue
            try:
                tensors, about = checkpoint.read(path)
                if "curve" not in about:
                    raise UserError(f"{path} is the checkpoint of a model, not a resume file")
                check_resumable(path, about)
            except ValueError as error:
                log.warning("%s; falling back to the generation before it", error)
                continue
            check_images(path, about, self.data, self.config.data_dir)
            if other := self.config.unlike(about["config"]):
                raise UserError(
                    f"{path} is of a run of other settings ({listed(other)}); give it another folder"
                )
            self.adopt(tensors)
            self.curve = about["curve"]
            return int(self.curve[-1]["epoch"])
        return 0

    def adopt(self, tensors: dict[str, Tensor]) -> None:
        """Load model and optimiser from the tensors of a resume file."""
        self.sandwich.load(_under("model.", tensors))
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        state: dict[int, dict[str, Tensor]] = {}
        for name, tensor in _under("optimizer.", tensors).items():
            index, slot = name.split(".", 1)
            like = parameters[int(index)]
            if (
                tensor.shape == like.shape
            ):  # in the parameter's memory format: fused Adam walks both as one block
                tensor = torch.empty_like(like, requires_grad=False).copy_(tensor)
            state.setdefault(int(index), {})[slot] = tensor
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
