"""The time that each sampler takes for 30 proposals, by the number of searched parameters.

    python -m tests.benchmarks.sampler_time [--json FILE] [--samplers gp,tpe] [--parameters 5,25,165]

Seconds of CPU of the whole process, so that a busy machine does not count; three objectives, each trial measured at its
last epoch before the next proposal. A study that has used 600 s is cut off: then the figure is of the proposals so far.
"""

import argparse
import json
import time
import warnings
from pathlib import Path

import numpy as np
import optuna

from search_spaces import Choice, Float, Space
from study.search.feasible import FeasibleSpace
from study.search.proposals import Proposals, make_sampler
from study.store.options import SAMPLERS

PROPOSALS = 30
LIMIT_S = 600.0


def main() -> None:
    """Measure everything and print it."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.sampler_time", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--samplers", default=",".join(name for name in SAMPLERS if name != "grid"))
    parser.add_argument("--parameters", default="5,25,165")
    arguments = parser.parse_args()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    figures = {}
    for count in map(int, arguments.parameters.split(",")):
        for name in arguments.samplers.split(","):
            proposals, seconds = measured(name, count)
            figures[f"{name}_{count}"] = {"proposals": proposals, "cpu_seconds": seconds}
            print(
                f"{name:8} {count:4} parameters: {proposals} proposals in {seconds:.1f} s of CPU", flush=True
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


def measured(name: str, parameters: int) -> tuple[int, float]:
    """Return how many proposals were made and the seconds of CPU that they took."""
    space = FeasibleSpace(space_of(parameters))
    proposals = Proposals(space, make_sampler(name, space, 3, seed=0, epochs=9))
    random, began = np.random.default_rng(0), time.process_time()
    for number in range(PROPOSALS):
        point = proposals.next()
        assert point
        quality = float(np.mean([float(value) / 8 for value in point.values()]))
        proposals.measure(point, 9, [quality, 1 - quality, float(random.random())])
        proposals.end(point)
        if time.process_time() - began > LIMIT_S:
            return number + 1, time.process_time() - began
    return PROPOSALS, time.process_time() - began


def space_of(parameters: int) -> Space:
    """Return five ranges of floats, and a width for each layer of a network of `parameters` - 5 layers."""
    floats = {f"float{n}": Float(low=0.01, high=10.0, log=True) for n in range(5)}
    widths = {f"bits.layer{n}": Choice(values=(2, 3, 4, 6, 8)) for n in range(parameters - 5)}
    return Space(name="wide", parameters=floats | widths)


if __name__ == "__main__":
    main()
