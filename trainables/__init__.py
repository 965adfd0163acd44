"""One training run: SGT-PACT on images, with its metrics, costs and checkpoints.

for epoch in trainables.train(trainables.Config.parse({"bits": 4})):
    print(epoch.number, epoch.metrics["accuracy"])
"""

from study_common.commands import needs

needs("torch")

from study_common.errors import NonFiniteError
from trainables.audit.audit import examine
from trainables.training.assessment import test_metrics
from trainables.training.config import Config, float_config, layers, presets
from trainables.training.inputs import Facts, dataset_facts
from trainables.training.network import check_pretrained, locate_pretrained
from trainables.training.process import prepare_process
from trainables.training.run import Epoch, train
from trainables.training.run import run_costs as costs

__all__ = [
    "Config",
    "Epoch",
    "Facts",
    "NonFiniteError",
    "check_pretrained",
    "costs",
    "dataset_facts",
    "examine",
    "float_config",
    "layers",
    "locate_pretrained",
    "prepare_process",
    "presets",
    "test_metrics",
    "train",
]
