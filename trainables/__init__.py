"""One training run: SGT-PACT on images, with its metrics, costs and checkpoints.

The public names are loaded on first use, so that a command parses its arguments before it imports torch.

for epoch in trainables.epochs(trainables.Config.parse({"bits": 4})):
    print(epoch.number, epoch.metrics["accuracy"])
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from study_common.commands import needs

if TYPE_CHECKING:
    from study_common.errors import NonFiniteError
    from trainables.audit.audit import examine
    from trainables.training.checks import check_run
    from trainables.training.config import Config, float_config, presets, shared_config
    from trainables.training.estimate import affordable, estimate
    from trainables.training.evaluation import test_metrics
    from trainables.training.inputs import Facts, dataset_facts, write_files
    from trainables.training.network import (
        check_pretrained,
        costs,
        layers,
        locate_pretrained,
        quantiser_values,
    )
    from trainables.training.process import prepare_process
    from trainables.training.run import Epoch, epochs

__all__ = [
    "Config",
    "Epoch",
    "Facts",
    "NonFiniteError",
    "affordable",
    "check_pretrained",
    "check_run",
    "costs",
    "dataset_facts",
    "epochs",
    "estimate",
    "examine",
    "float_config",
    "layers",
    "locate_pretrained",
    "prepare_process",
    "presets",
    "quantiser_values",
    "shared_config",
    "test_metrics",
    "write_files",
]

_HOMES = {
    "Config": "trainables.training.config",
    "Epoch": "trainables.training.run",
    "Facts": "trainables.training.inputs",
    "NonFiniteError": "study_common.errors",
    "affordable": "trainables.training.estimate",
    "check_pretrained": "trainables.training.network",
    "check_run": "trainables.training.checks",
    "costs": "trainables.training.network",
    "dataset_facts": "trainables.training.inputs",
    "epochs": "trainables.training.run",
    "estimate": "trainables.training.estimate",
    "examine": "trainables.audit.audit",
    "float_config": "trainables.training.config",
    "layers": "trainables.training.network",
    "locate_pretrained": "trainables.training.network",
    "prepare_process": "trainables.training.process",
    "presets": "trainables.training.config",
    "quantiser_values": "trainables.training.network",
    "shared_config": "trainables.training.config",
    "test_metrics": "trainables.training.evaluation",
    "write_files": "trainables.training.inputs",
}
"""The module of each public name."""

needs("torch")


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'trainables' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
