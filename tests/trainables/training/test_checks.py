"""What would end a run before its first step is found without one."""

import pytest
import torch

from study_common.errors import UserError
from trainables import Config
from trainables.training.checks import check_run
from trainables.training.run import Run, epochs

Settings = dict[str, object]
REFUSED: dict[str, Settings] = {
    "small_cnn has BatchNorm, which needs two images; raise batch_size": {
        "model": "small_cnn",
        "batch_size": 1,
    },
    "batch_size is 97; it must be at most the 96 training images": {"batch_size": 97},
    "resnet18 takes images of 64 pixels or more and these have 16; set image_size=64": {"model": "resnet18"},
    "small_cnn takes images of 16 pixels or more": {"model": "small_cnn", "image_size": 8},
}


@pytest.mark.parametrize("says", REFUSED)
def test_a_run_that_cannot_start_is_refused_by_the_check_and_by_the_run(
    says: str, settings: Settings
) -> None:
    config = Config.parse(settings | REFUSED[says])
    with pytest.raises(UserError, match=says):
        check_run(config)
    with pytest.raises(UserError, match=says):
        Run(config)


@pytest.mark.parametrize("changes", [{"model": "small_cnn", "batch_size": 1}, {"batch_size": 97}])
def test_calibration_alone_takes_any_batch(changes: Settings, settings: Settings) -> None:
    config = Config.parse(settings | changes | {"epochs": 0})
    check_run(config)
    assert next(epochs(config)).number == 0


def test_the_check_draws_no_random_numbers(settings: Settings) -> None:
    before = torch.get_rng_state()
    check_run(Config.parse(settings | {"model": "small_cnn", "attribution": "grad_cam"}))
    assert torch.get_rng_state().equal(before)
