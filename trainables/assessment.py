"""A checkpoint measured anew, on the validation split or, for a confirmation, on the test split."""

from pathlib import Path

from torch import nn

from trainables.config import Config
from trainables.data import Split
from trainables.evaluation import evaluate, measure_faithfulness
from trainables.inputs import data_of, scale_of, test_split_of
from trainables.network import load_checkpoint
from trainables.training import run_costs


def validation_metrics(path: Path) -> dict[str, float]:
    """The metrics that the run recorded, measured again: the same bits on the same machine."""
    model, config, _ = load_checkpoint(path)
    return _metrics(model, config, data_of(config).validation)


def test_metrics(path: Path) -> dict[str, float]:
    """The same metrics on the test split. Only `study.confirm` calls this."""
    model, config, _ = load_checkpoint(path)
    return _metrics(model, config, test_split_of(config))


def _metrics(model: nn.Module, config: Config, split: Split) -> dict[str, float]:
    scale = scale_of(data_of(config), next(model.parameters()).device)
    return {
        **evaluate(model, split, scale, config).metrics,
        **measure_faithfulness(model, split, scale, config).metrics(),
        **run_costs(config),
    }
