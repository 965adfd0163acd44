"""One training run: SGT-PACT on images, with its metrics, costs and checkpoints.

for epoch in trainables.train(trainables.Config.parse({"bits": 4})):
    print(epoch.number, epoch.metrics["accuracy"])
"""

from search_spaces.commands import needs

needs("torch")

from trainables.assessment import test_metrics
from trainables.config import Config, float_config, layers, presets
from trainables.errors import NonFiniteError
from trainables.examination import examine
from trainables.inputs import Facts, dataset_facts
from trainables.network import check_pretrained, locate_pretrained
from trainables.process import prepare_process
from trainables.training import Epoch, train
from trainables.training import run_costs as costs

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
