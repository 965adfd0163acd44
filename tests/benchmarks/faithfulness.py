"""Faithfulness over the finished trials of studies: its cost, its rank stability, and what moves it.

    python -m tests.benchmarks.faithfulness cost
    python -m tests.benchmarks.faithfulness train --out runs/faithfulness
    python -m tests.benchmarks.faithfulness measure runs/NAME ... --out scores.npz
    python -m tests.benchmarks.faithfulness answers scores.npz
    python -m tests.benchmarks.faithfulness look CHECKPOINT ...

cost      seconds of a trial at the default settings, and the part of them that faithfulness takes
train     every combination of --bits (4,2), SGT on and off and --seeds (3): 12 runs laid out like a study
measure   the score of each of `--images` validation images, for every finished trial and every removal
answers   rank stability between disjoint sets of images; SGT against none by seed; precision against faithfulness
look      single models: every attribution's score, completeness of Integrated Gradients, how much of the maps lies on
          black, how the logits answer noise
"""

import argparse
import itertools
import json
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.stats import rankdata, spearmanr

import trainables
from study_common import layout
from trainables import Config, epochs
from trainables.choices import ATTRIBUTIONS
from trainables.models.passes import extra_pass
from trainables.saliency.attribution import saliency_maps
from trainables.saliency.faithfulness import faithfulness, predict
from trainables.saliency.removal import REMOVALS
from trainables.saliency.suite import OBJECTIVE, Assessment, assess
from trainables.training import gallery
from trainables.training.evaluation import background_of, choose, measure_faithfulness
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint
from trainables.training.run import Run

RUNGS = (1, 4)  # of a study by default
SIZES = (25, 50, 100, 200)


def main() -> None:
    """Run one of the parts."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.faithfulness",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parts = parser.add_subparsers(dest="part", required=True)
    parts.add_parser("cost")
    training = parts.add_parser("train")
    training.add_argument("--out", type=Path, required=True)
    training.add_argument("--bits", default="4,2")
    training.add_argument("--seeds", type=int, default=3)
    measuring = parts.add_parser("measure")
    measuring.add_argument("studies", type=Path, nargs="+")
    measuring.add_argument("--images", type=int, default=2 * max(SIZES))
    measuring.add_argument("--out", type=Path, required=True)
    measuring.add_argument("--attribution", choices=ATTRIBUTIONS, help="default: that of each trial")
    parts.add_parser("answers").add_argument("scores", type=Path)
    parts.add_parser("look").add_argument("checkpoints", type=Path, nargs="+")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    work = {"cost": cost, "train": train_grid, "measure": measure, "answers": answers, "look": look}
    work[arguments.part](arguments)


def cost(_: argparse.Namespace) -> None:
    """Processor seconds of an epoch, of measurements and of the pictures; their share of a trial."""
    run = Run(Config.parse({"bits": 4}))
    seconds: dict[str, list[float]] = {"epoch": [], "objective": [], "whole suite": [], "pictures": []}

    def timed(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        made = work()
        seconds[name].append(time.process_time() - began)
        return made

    def measured(whole_suite: bool) -> Assessment:
        split = run.data.validation
        return measure_faithfulness(
            run.model, split, run.data, run.scale, run.config, whole_suite=whole_suite
        )

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / layout.SALIENCY_FILE
        for number in (1, 2, 3):
            timed("epoch", lambda number=number: run.epoch(number))
            timed("objective", lambda: measured(False))
            found = timed("whole suite", lambda: measured(True))
            timed(
                "pictures", lambda f=found: gallery.write(path, run.model, run.data, run.scale, run.config, f)
            )
    middle = {name: float(np.median(values)) for name, values in seconds.items()}
    spent = (len(RUNGS) - 1) * middle["objective"] + middle["whole suite"] + middle["pictures"]
    print(", ".join(f"{name} {value:.2f} s" for name, value in middle.items()))
    share = spent / (run.config.epochs * middle["epoch"])
    print(f"a trial of {run.config.epochs} epochs and {len(RUNGS)} rungs: {share:.1%} of its training")


def train_grid(arguments: argparse.Namespace) -> None:
    """Train the runs that are not there yet."""
    widths = map(int, arguments.bits.split(","))
    for number, (seed, bits, lambda1) in enumerate(
        itertools.product(range(arguments.seeds), tuple(widths), (0.0, 1.0))
    ):
        directory = arguments.out / "trials" / str(number)
        if not (directory / layout.SALIENCY_FILE).exists():
            for epoch in epochs(
                Config.parse({"bits": bits, "lambda1": lambda1, "seed": seed}), resume=directory
            ):
                epoch.save(directory)
            print(directory, epoch.metrics, flush=True)


def measure(arguments: argparse.Namespace) -> None:
    """Write the scores (trials, removals, images), and what each trial was."""
    about, scores = [], []
    for path in sorted(
        path for study in arguments.studies for path in study.glob("trials/*/" + layout.SALIENCY_FILE)
    ):
        model, config, recorded = load_checkpoint(path.with_name(layout.CHECKPOINT_FILE))
        data = data_of(config)
        scale = scale_of(data, torch.device("cpu"))
        split = choose(data.validation, arguments.images)
        X = scale(split.images)
        with extra_pass(model):
            method = arguments.attribution or config.attribution
            maps = saliency_maps(model, X, predict(model, X), method=method)
            background = background_of(data, scale)
            found = assess(model, X, maps, background, removals=OBJECTIVE, controls=["random"])
            each = [
                faithfulness(model, X, maps, removal=removal, background=background).each.tolist()
                for removal in REMOVALS.values()
            ]
            drop = found.objective_curves(split.labels).set_index("fraction")
        study, number = path.parts[-4], path.parts[-2]
        about.append(
            {
                "study": study,
                "number": number,
                **recorded["metrics"],
                **config.flat(),
                **trainables.costs(config),
            }
            | _summary(drop)
        )
        scores.append(each)
        print(study, number, np.mean(scores[-1], axis=1).round(3), flush=True)
    np.savez_compressed(arguments.out, scores=np.array(scores), about=json.dumps(about))


def _summary(drop: pd.DataFrame) -> dict[str, float]:
    """Means over the fractions: how many keep their class in each order, and the accuracy that MoRF costs."""
    kept = {f"kept_{order}": some["kept"].iloc[1:].mean() for order, some in drop.groupby("order")}
    accuracy = drop[drop["order"] == "morf"]["accuracy"]
    return {**kept, "accuracy_drop": accuracy.iloc[0] - accuracy.iloc[1:].mean()}


def answers(arguments: argparse.Namespace) -> None:
    """Print the tables."""
    with np.load(arguments.scores) as arrays:
        trials, scores = pd.DataFrame(json.loads(str(arrays["about"]))), arrays["scores"]
    for removal, values in zip(REMOVALS, scores.transpose(1, 0, 2), strict=True):
        trials[removal] = values.mean(1)
    trials["bits"] = (trials["bops"] / trials["macs"]).pow(0.5).round(1)
    trials["sgt"] = np.where(trials["lambda1"] > 0, "SGT", "none")
    for study, some in trials.groupby("study"):
        print(f"\n{study}: {len(some)} trials, {some['mean'].min():.3f} to {some['mean'].max():.3f}")
        _table(some)
        _stability(scores[some.index, 0])
        _precision(some)
        _settings(some)


def _table(some: pd.DataFrame) -> None:
    """Every trial of a small study: what its accuracy and its class lose under removal, and its score by removal."""
    if len(some) <= 20:
        names = ["bits", "accuracy", "accuracy_drop", "kept_morf", "kept_random", "kept_lerf", *REMOVALS]
        print(some.set_index("number")[names].round(3).to_string())


def _stability(scores: np.ndarray) -> None:
    """Spearman of the trials' ranking between two disjoint sets of n images, the mean over 200 ways to draw them."""
    generator = np.random.default_rng(0)
    for n in SIZES:
        found = []
        for _ in range(200):
            order = generator.permutation(scores.shape[1])
            first, second = scores[:, order[:n]].mean(1), scores[:, order[n : 2 * n]].mean(1)
            found.append(spearmanr(first, second).statistic)
        error = scores[:, :n].std(axis=1, ddof=1).mean() / n**0.5
        print(f"  {n:4} images: rank stability {np.mean(found):.2f}, 5 % of draws below "
              f"{np.quantile(found, 0.05):.2f}; standard error of a score {error:.3f}")  # fmt: skip


def _precision(some: pd.DataFrame) -> None:
    """Spearman of bits and of accuracy with faithfulness, and of bits with accuracy held still."""
    if some["bits"].nunique() < 4:
        return
    for removal in REMOVALS:
        bits, accuracy, score = (rankdata(some[name]) for name in ("bits", "accuracy", removal))
        a, b, c = (np.corrcoef(x, y)[0, 1] for x, y in ((bits, score), (accuracy, score), (bits, accuracy)))
        partial = (a - b * c) / ((1 - b**2) * (1 - c**2)) ** 0.5
        print(f"  removal {removal:11} bits ~ faithfulness {a:+.2f}, accuracy ~ faithfulness {b:+.2f}, "
              f"bits ~ faithfulness at equal accuracy {partial:+.2f}")  # fmt: skip


def _settings(some: pd.DataFrame) -> None:
    """For settings that were run with several seeds: means over the seeds, and what SGT adds within a seed."""
    if some.groupby(["bits", "sgt"]).size().min() < 2:
        return
    names = ["accuracy", "accuracy_drop", "kept_morf", "kept_random", "kept_lerf", *REMOVALS]
    print(some.groupby(["bits", "sgt"])[names].mean().round(3).to_string())
    for bits, group in some.groupby("bits"):
        table = group.pivot_table(index="seed", columns="sgt", values=names)
        for name in names:
            gain = table[name]["SGT"] - table[name]["none"]
            error = gain.std(ddof=1) / len(gain) ** 0.5
            print(f"  {bits:4.1f} bits, SGT adds to {name:14} {gain.mean():+.3f} +- {error:.3f}")


def look(arguments: argparse.Namespace) -> None:
    """Print what single models show."""
    for path in arguments.checkpoints:
        model, config, _ = load_checkpoint(path)
        data = data_of(config)
        scale = scale_of(data, torch.device("cpu"))
        images = choose(data.validation, max(SIZES)).images
        print(path)
        for method in ATTRIBUTIONS:
            began = time.process_time()
            found = measure_faithfulness(
                model, data.validation, data, scale, replace(config, attribution=method)
            )
            seconds = time.process_time() - began
            blank = found.blank.double().mean()
            print(
                f"  {method:20} {found.score:.3f} +- {found.standard_error:.3f}, {blank:.0%} blank, {seconds:.2f} s"
            )
        with extra_pass(model):
            X = scale(images)
            errors = [
                f"{incompleteness(model, X, steps):.3f} in {steps} steps" for steps in (16, 32, 64, 128)
            ]
        print("  Integrated Gradients miss completeness by " + ", ".join(errors))
        with extra_pass(model), torch.no_grad():
            logits = model(X)
            maps = saliency_maps(model, X, logits.argmax(1)).flatten(1)
            black = (images.flatten(1) == 0).double()
            top = black.gather(1, maps.topk(maps.shape[1] // 5, dim=1).indices).mean()
            print(f"  {black.mean():.0%} of the pixels are black, {top:.0%} of the fifth of highest saliency")
            for noise in (1 / 255, 0.02, 0.05, 0.1, 0.2):
                moved = (
                    model(X + noise / scale.std * torch.randn(X.shape, generator=torch.manual_seed(0)))
                    - logits
                )
                print(f"  noise {noise:.3f}: logits move by {moved.abs().mean():.3f}")


def incompleteness(model: torch.nn.Module, X: torch.Tensor, steps: int) -> float:
    """How far sums of Integrated Gradients are from f(X) - f(0), as a share of that: mean sizes over images."""
    from captum.attr import IntegratedGradients

    target = predict(model, X)
    found = IntegratedGradients(model).attribute(X, target=target, n_steps=steps, internal_batch_size=len(X))
    with torch.no_grad():
        rise = (model(X) - model(torch.zeros_like(X))).gather(1, target[:, None])[:, 0]
    return ((found.flatten(1).sum(1) - rise).abs().mean() / rise.abs().mean()).item()


if __name__ == "__main__":
    main()
