"""PyTorch's own export: the evaluation model of every architecture is one graph, with the same values."""

import pytest
import torch

from tests.trainables.models.names import EACH_KIND
from trainables.models.catalogue import SMALLEST, build, norms, quantisable
from trainables.quantisation.quantisers import calibrate, quantise

SLOW = {"efficientnet_b0"}
"""Its 82 layers take as long as all other models together."""


@pytest.mark.parametrize(
    ("name", "weight_quantiser"),
    [
        ("paper_cnn", "affine"),
        *(pytest.param(name, "lsq", marks=[pytest.mark.slow] * (name in SLOW)) for name in EACH_KIND),
    ],
)
def test_torch_exports_the_evaluation_model(name: str, weight_quantiser: str) -> None:
    torch.manual_seed(0)
    model = build(name, channels=3, size=SMALLEST[name], classes=5)
    layers = list(quantisable(model))
    widths = dict.fromkeys(layers, 4)
    quantise(
        model, w_bits=widths, a_bits=dict.fromkeys(layers[1:], 4), weight_quantiser=weight_quantiser,
        alpha=1.0, norms=norms(name),
    )  # fmt: skip
    X = torch.randn(2, 3, SMALLEST[name], SMALLEST[name])
    calibrate(model, X)
    model.eval()
    exported = torch.export.export(model, (X,)).module()
    assert exported(X).equal(model(X))
