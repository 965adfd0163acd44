"""What would end a run before its first step, found without one: a plan asks before a study starts, a run at its start.

The settings by themselves are checked by `Config`; here they are checked against the images and the model.
"""

from functools import lru_cache

from study_common.errors import UserError
from trainables.choices import is_own_model
from trainables.models.catalogue import sample
from trainables.models.cost import inventory
from trainables.models.suitability import check_model
from trainables.quantisation.batchnorm import norms_of
from trainables.saliency import attribution
from trainables.training.config import Config
from trainables.training.inputs import data_of, masks_of, positive_index, signature


def check_run(config: Config) -> None:
    """Check that a run of this configuration starts, by shapes alone; an own model makes a step with two images.

    Args:
        config: What would be trained, on which images. Its files `init` and `pretrained` are not read.

    Raises:
        UserError: The images or their masks cannot be used; the model does not fit them, or does not call each
            layer once; a batch is larger than the training split, or
            is one image and the model has BatchNorm; or the attribution cannot explain the model.
    """
    data = data_of(config)
    positive_index(config, data.class_names)
    if is_own_model(config.model):
        _fits(config.model, *signature(data), config.lambda2 > 0)
    if config.masks:
        masks_of(config)
    inventory(config.model, *signature(data))
    has_norms = _explained(config.model, *signature(data), config.attribution)
    if config.epochs == 0:
        return
    if config.batch_size > (images := len(data.train.labels)):
        raise UserError(f"batch_size is {config.batch_size}; it must be at most the {images} training images")
    if config.batch_size == 1 and has_norms:
        raise UserError(
            f"batch_size is 1 and {config.model} has BatchNorm, which needs two images; raise batch_size"
        )


@lru_cache(maxsize=32)
def _explained(name: str, channels: int, size: int, classes: int, method: str) -> bool:
    """Raise UserError if an attribution cannot explain a model; return whether the model has BatchNorm."""
    model, X = sample(name, channels=channels, size=size, classes=classes)
    attribution.check(model, X, method)
    return bool(norms_of(model))


@lru_cache(maxsize=32)
def _fits(name: str, channels: int, size: int, classes: int, twice: bool) -> None:
    """Raise UserError if an own model cannot be trained; asked once per process."""
    check_model(name, channels, size, classes, twice=twice)
