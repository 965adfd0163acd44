"""A made-up table of learning curves with the shape of a real one: 3^5 configurations of the CNN of seed B."""

import numpy as np

import trainables
from study.request import Request
from study.spec import Spec, plan
from study.table import Table
from study.worker import Report

SPACE = """
description = "Four layers at 2, 4 or 8 bits and three weights of the saliency term: 243 configurations"

[parameters]
lambda1 = { type = "choice", values = [0.1, 1.0, 10.0] }

[bits]
layers = "*"
values = [2, 4, 8]
"""
LOSS = {2: 1.0, 4: 0.25, 8: 0.05}
"""How much of what a layer can lose is lost at a width."""


def request_for(space_file: str, runs_dir: str) -> Request:
    """Plan the study that would record the table."""
    return plan(Spec(space=space_file, name="table", runs_dir=runs_dir, epochs=9, sampler="grid", trials=243))


def made_up(request: Request, seed: int, noise: float = 1.0) -> Table:
    """Make up curves: each layer loses accuracy and faithfulness at low widths, all rise with the epochs.

    `noise` 1 is a standard deviation of 0.006 in accuracy, as 1,000 validation images give, and 0.018 in faithfulness.
    """
    rng = np.random.default_rng(seed)
    sensitivity = rng.dirichlet(np.ones(4)) * 0.1
    points, curves = list(request.space.grid()), []
    for point in points:
        widths = [point[f"bits.{layer}"] for layer in ("conv1", "conv2", "fc1", "fc2")]
        lost = sum(s * LOSS[w] for s, w in zip(sensitivity, widths, strict=True))
        top = 0.885 - lost - 0.015 * (point["lambda1"] == 10.0) + 0.004 * rng.normal() * noise
        faith = 0.3 + 0.08 * np.log10(10 * point["lambda1"]) - 0.9 * lost + 0.01 * rng.normal() * noise
        costs = trainables.costs(request.config(point))
        curve = []
        for epoch in range(1, request.epochs + 1):
            metrics = {
                "accuracy": top
                - 0.16 * (1 + 4 * lost) * np.exp(-0.45 * (epoch - 1))
                + 0.005 * rng.normal() * noise
            }
            if epoch in request.rungs:
                metrics["faithfulness"] = (
                    faith - 0.12 * np.exp(-0.4 * (epoch - 1)) + 0.015 * rng.normal() * noise
                )
            seconds = 5.0 * rng.uniform(0.9, 1.1)
            curve.append(
                Report(epoch=epoch, seconds=seconds, metrics=metrics | costs, last=epoch == request.epochs)
            )
        curves.append(curve)
    return Table(request, points, curves)
