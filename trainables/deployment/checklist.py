"""A checklist of a model before any training: what would be quantised, folded, exported and explained."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from study_common.errors import UserError
from trainables.choices import ATTRIBUTIONS, is_own_model
from trainables.deployment.structure import operations
from trainables.models.catalogue import build, norms, quantisable
from trainables.models.cost import Layer, inventory
from trainables.models.suitability import check_model, uncounted_products
from trainables.saliency import attribution
from trainables.training.config import check_model_name


@dataclass(frozen=True, kw_only=True)
class Checklist:
    """What a model is to this program."""

    layers: tuple[Layer, ...]
    """Each has its own width."""
    norms: dict[str, str]
    """The norm that is folded into each convolution."""
    floats: dict[str, int]
    """Other modules with numbers of their own, which stay float32: how many of each kind."""
    products: tuple[str, ...]
    """Products of activations, which no cost counts."""
    graph: str
    """"" if ONNX can be written, else why not."""
    attributions: dict[str, str]
    """By the name of an attribution: "" if it can explain the model, else why not."""
    twice: str
    """"" if lambda2 can be above 0, else why not."""

    def lines(self) -> list[str]:
        """Return the text of the command."""
        width = max(len(layer.name) for layer in self.layers)
        rows = [f"{'layer':{width}}  {'MACs':>13}  {'weights':>11}  folded norm"]
        rows += [
            f"{layer.name:{width}}  {layer.macs:13,}  {layer.weights:11,}  {self.norms.get(layer.name, '-')}"
            for layer in self.layers
        ]
        floats = ", ".join(f"{count} {kind}" for kind, count in self.floats.items())
        return [
            *rows,
            f"quantised: {len(self.layers)} layers; the input of {self.layers[0].name} is the 8-bit image",
            f"stays float32: {floats or 'nothing'}",
            f"not counted in costs: products of activations by {', '.join(self.products)}" if self.products else
            "counted in costs: every product",
            "export packed: yes",
            f"export onnx, lowbit, qonnx: {_answer(self.graph)}",
            *(f"explained by {name}: {_answer(why)}" for name, why in self.attributions.items()),
            f"lambda2 above 0: {_answer(self.twice)}",
        ]  # fmt: skip

    def sums(self) -> dict[str, Any]:
        """Return the sums as JSON holds them."""
        return {
            "layers": len(self.layers),
            "macs": sum(layer.macs for layer in self.layers),
            "weights": sum(layer.weights for layer in self.layers),
            "folded": len(self.norms),
            "onnx": not self.graph,
            "attributions": [name for name, why in self.attributions.items() if not why],
        }


def inspect_model(name: str, channels: int, size: int, classes: int) -> Checklist:
    """Inspect a model for images (n, channels, size, size) of so many classes.

    Raises:
        UserError: It cannot be trained; one sentence says why.
    """
    check_model_name(name)
    twice = ""
    if is_own_model(name):
        check_model(name, channels, size, classes, twice=False)
        twice = _why_not(lambda: check_model(name, channels, size, classes, twice=True))
    counted = inventory(name, channels, size, classes)
    model = build(name, channels=channels, size=size, classes=classes).eval()
    X = torch.zeros(1, channels, size, size)
    layers = {*quantisable(model).values()}
    floats = [m for m in model.modules() if m not in layers and list(m.parameters(recurse=False))]
    return Checklist(
        layers=counted.layers,
        norms=norms(name, channels, size, classes),
        floats=dict(Counter(type(module).__name__ for module in floats)),
        products=uncounted_products(model, X),
        graph=_why_not(lambda: operations(model, (channels, size, classes))),
        attributions={
            method: _why_not(partial(attribution.check, model, X, method)) for method in ATTRIBUTIONS
        },
        twice=twice,
    )


def _answer(why_not: str) -> str:
    return f"no, {why_not}" if why_not else "yes"


def _why_not(ask: Callable[[], object]) -> str:
    try:
        ask()
    except UserError as error:
        return str(error)
    return ""
