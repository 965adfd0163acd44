"""A checkpoint measured anew, on the validation split or, for a confirmation, on the test split."""

from collections.abc import Callable
from pathlib import Path

from trainables.data import Split
from trainables.training.config import Config
from trainables.training.evaluation import evaluate, measure_faithfulness
from trainables.training.inputs import check_images, data_of, scale_of, test_split_of
from trainables.training.network import load_checkpoint
from trainables.training.run import run_costs


def validation_metrics(path: Path, data_dir: str = "") -> dict[str, float]:
    """The metrics that the run recorded, measured again: the same bits on the CPU that trained it.

    The images are looked for in `data_dir`, or for "" where the run had them.
    """
    return _metrics(path, lambda config: data_of(config).validation, data_dir)


def test_metrics(path: Path) -> dict[str, float]:
    """The same metrics on the test split. Only `study.confirm` calls this."""
    return _metrics(path, test_split_of)


def _metrics(path: Path, split_of: Callable[[Config], Split], data_dir: str = "") -> dict[str, float]:
    model, config, about = load_checkpoint(path, data_dir)
    data, split = data_of(config), split_of(config)
    check_images(path, about, data, config.data_dir)
    scale = scale_of(data, next(model.parameters()).device)
    return {
        **evaluate(model, split, scale, config).metrics,
        **measure_faithfulness(model, split, scale, config).metrics(),
        **run_costs(config),
    }
