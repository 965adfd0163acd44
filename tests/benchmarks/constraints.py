"""Searching inside a bound on bit-operations: does each sampler complete, at what time, and how good is the front?

    python -m tests.benchmarks.constraints [--json FILE] [--quick] [--samplers tpe,random]

A toy with the real costs of resnet18 (a width for each of its 21 layers and six training settings); its objectives are
accuracy, flops and faithfulness. For each sampler and each bound, in multiples of the least cost there is:

trials      how many of 30 were proposed, all feasible and different
added_ms    time inside the constraints per proposal, mean and longest, CPU
ratio       the hypervolume of the front over that of an unbounded study of twice the trials without what is infeasible,
            the median over seeds: above 1 the bounded study is better
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import optuna

import trainables
from results.analysis.fronts import volume
from study.planning.plan import plan
from study.planning.spec import Spec
from study.search.feasible import FeasibleSpace
from study.search.proposals import Proposals, make_sampler
from study.store.options import SAMPLERS
from study.store.request import Request
from study_common import objectives
from tests.make_kvasir import make

TRIALS = 30
SHARES = (1.01, 1.2, 2.0, 3.0)
SLOW = ("gp",)
"""Samplers that are tried with one seed."""


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.constraints", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--quick", action="store_true", help="one seed")
    parser.add_argument("--samplers", default=",".join(name for name in SAMPLERS if name != "grid"))
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    figures: dict[str, Any] = {}
    with TemporaryDirectory() as folder:
        request = resnet18(Path(folder))
        for name in arguments.samplers.split(","):
            seeds = 1 if arguments.quick or name in SLOW else 5
            unbounded = [
                Trace(replace(request, sampler=name, seed=seed), 2 * TRIALS) for seed in range(seeds)
            ]
            for share in SHARES:
                bounds = {"bops": share * least(request)}
                bounded = replace(request, sampler=name, constraints=bounds)
                traces = [Trace(replace(bounded, seed=seed), TRIALS) for seed in range(seeds)]
                ratios = [
                    hypervolume(trace, bounded) / max(hypervolume(other, bounded), 1e-12)
                    for trace, other in zip(traces, unbounded, strict=True)
                ]
                figures[f"{name}_{share}"] = found = {
                    "trials": min(len(trace.points) for trace in traces),
                    "added_ms": 1000 * float(np.mean([np.mean(trace.added) for trace in traces])),
                    "added_ms_longest": 1000 * max(max(trace.added) for trace in traces),
                    "ratio": float(np.median(ratios)),
                }
                print(
                    f"{name:8} {share:4}x: {found['trials']} trials, {found['added_ms']:.1f} ms added "
                    f"(longest {found['added_ms_longest']:.0f}), hypervolume ratio {found['ratio']:.3f}",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def resnet18(folder: Path) -> Request:
    """Return an unbounded study of resnet18 on a few made-up endoscopy images."""
    make(folder / "images", per_class=20, sizes=((72, 58),))
    spec = Spec(
        space="kvasir_mixed_bits", dataset="kvasir", data_dir=str(folder / "images"), model="resnet18",
        runs_dir=str(folder), fixed={"batch_size": 16},
    )  # fmt: skip
    return plan(spec)


def least(request: Request) -> float:
    """Return the bit-operations of the cheapest configuration: the first corner."""
    return trainables.costs(request.config(request.queue[0]))["bops"]


class Trace:
    """A toy study: what was tried, what it measured, and the time that the constraints took."""

    def __init__(self, request: Request, trials: int) -> None:
        self.points: list[dict[str, Any]] = []
        self.gains: list[tuple[float, ...]] = []
        self.added: list[float] = []
        """Seconds of CPU per proposal."""
        self._spent = 0.0
        space = FeasibleSpace.of(request)
        for method in ("project", "__contains__"):
            self._time(space, method)
        sampler = make_sampler(request.sampler, space, len(request.objectives), request.seed, request.epochs)
        proposals = Proposals(space, sampler, request.queue)
        while len(self.points) < trials and (point := proposals.next()):
            self.points.append(point)
            self.gains.append(objectives.gains(request.objectives, metrics(request, point)))
            self.added.append(self._spent)
            self._spent = 0.0
            proposals.measure(point, request.epochs, self.gains[-1])
            proposals.end(point)

    def _time(self, space: FeasibleSpace, method: str) -> None:
        """Have a method of `space` add its time to what was spent."""
        original: Callable[..., Any] = getattr(FeasibleSpace, method)

        def timed(_: FeasibleSpace, *arguments: Any) -> Any:
            began = time.process_time()
            try:
                return original(space, *arguments)
            finally:
                self._spent += time.process_time() - began

        space.__class__ = type("Timed", (space.__class__,), {method: timed})


def metrics(request: Request, point: Mapping[str, Any]) -> dict[str, float]:
    """Return the real costs, and an accuracy and a faithfulness that grow with the widths of some layers."""
    config = request.config(point)
    widths = np.array(list(config.w_bits.values()))
    weights = np.random.default_rng(0).dirichlet(np.ones(len(widths)))
    quality = float(weights @ (1 - 2.0 ** (1 - widths)))
    far = abs(np.log10(config.lambda1)) / 2
    return {
        **trainables.costs(config),
        "accuracy": 0.2 + 0.7 * quality - 0.1 * abs(np.log10(config.lr) + 3),
        "faithfulness": 0.6 * (1 - far) * (0.5 + 0.5 * quality),
    }


def hypervolume(trace: Trace, request: Request) -> float:
    """Return that of the feasible points."""
    feasible = [g for p, g in zip(trace.points, trace.gains, strict=True) if request.is_feasible(p)]
    return float(volume(1 - np.array(feasible).reshape(-1, len(request.objectives))))


if __name__ == "__main__":
    main()
