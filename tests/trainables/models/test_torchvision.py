"""Torchvision's classifiers that are no `EACH_KIND`: a forward pass, a step with lambda2, and an export each."""

from pathlib import Path

import pytest
import torch

from study_common.errors import UserError
from tests.trainables.models.names import EACH_KIND, IN_EVERY_FORMAT
from trainables.choices import TORCHVISION
from trainables.deployment import packed
from trainables.deployment.structure import operations
from trainables.models.catalogue import SMALLEST
from trainables.training.config import Config
from trainables.training.inputs import described
from trainables.training.run import Run

LARGE = (
    "resnet34", "resnet50", "resnext50_32x4d", "efficientnet_v2_s", "efficientnet_b1", "convnext_tiny",
    "mobilenet_v3_large", "mnasnet1_0", "shufflenet_v2_x1_0", "regnet_y_400mf",
)  # fmt: skip
"""Each takes 5 to 10 s, and most have a smaller sibling."""
OTHERS = [
    pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE))
    for name in TORCHVISION
    if name not in EACH_KIND
]


@pytest.mark.parametrize("name", OTHERS)
def test_it_takes_a_step_and_is_packed(name: str, settings: dict[str, object], tmp_path: Path) -> None:
    changes = {"model": name, "image_size": SMALLEST[name], "batch_size": 2, "lambda2": 1e-3, "bits": 4}
    config = Config.parse(settings | changes)
    run = Run(config)
    images, labels = (tensor[:2] for tensor in run.data.train)
    X = run.scale(images)
    assert run.model.eval()(X).shape == (2, 3)
    run.model.train()
    fill = run.scale.fill(config.fill, torch.Generator().manual_seed(0))
    assert run.step(X, labels, fill).isfinite().all()
    file = tmp_path / "model.packed"
    packed.write(file, run.model.eval(), config, described(run.data))
    tensors = packed.read(file).tensors
    for layer in config.w_bits:
        assert tensors[f"{layer}.weight"].equal(run.model.get_submodule(layer).weight)
    if name not in IN_EVERY_FORMAT:  # the others are written and compared in test_qdq.py
        with pytest.raises(UserError, match="or export packed"):
            operations(run.model, described(run.data)["signature"])
