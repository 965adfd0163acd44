"""Localisation: closed forms, an oracle, a random map and the middle; a model that is trained finds the lesion."""

from pathlib import Path

import pytest
import torch

from study_common import layout
from tests import make_lesions
from trainables.saliency.localisation import centre_prior, localisation, pointing_game, saliency_inside
from trainables.training.config import Config
from trainables.training.evaluation import test_metrics as metrics_on_test
from trainables.training.evaluation import validation_metrics
from trainables.training.run import epochs


@pytest.fixture
def inside() -> torch.Tensor:
    """A window of 4x4 pixels anywhere in each of 400 images of 16x16."""
    found = torch.zeros(400, 16, 16, dtype=torch.bool)
    corners = torch.randint(0, 13, (400, 2), generator=torch.Generator().manual_seed(0)).tolist()
    for mask, (row, column) in zip(found, corners, strict=True):
        mask[row : row + 4, column : column + 4] = True
    return found


def test_an_oracle_has_it_all_and_its_opposite_nothing(inside: torch.Tensor) -> None:
    for score in (saliency_inside, pointing_game):
        assert (score(inside.float(), inside) == 1).all()
        assert (score((~inside).float(), inside) == 0).all()


def test_maps_that_say_nothing_have_the_share_of_the_area(inside: torch.Tensor) -> None:
    random = torch.rand(400, 16, 16, generator=torch.Generator().manual_seed(1))
    for score in (saliency_inside, pointing_game):
        found = score(random, inside)
        assert found.mean() == pytest.approx(1 / 16, abs=3 * found.std().item() / 20)
        for constant in (0.0, 0.7):
            assert score(torch.full((400, 16, 16), constant), inside).tolist() == pytest.approx(
                [1 / 16] * 400
            )


def test_scale_does_not_count() -> None:
    maps = torch.tensor([[[4.0, 0.0], [3.0, 1.0]]])
    mask = torch.tensor([[[False, False], [True, True]]])
    for scale in (1e-30, 1.0, 1e30):
        assert saliency_inside(scale * maps, mask).tolist() == pytest.approx([0.5])
        assert pointing_game(scale * maps, mask).tolist() == [0.0]


def test_the_centre_prior_is_highest_in_the_middle_and_falls_to_all_sides() -> None:
    prior = centre_prior(9, 15)
    assert prior.argmax() == 4 * 15 + 7
    assert torch.equal(prior, prior.flip(0))
    assert torch.equal(prior, prior.flip(1))
    assert (prior[4, 7:].diff() < 0).all()
    assert (prior[4:, 7].diff() < 0).all()


def test_what_a_trial_records(inside: torch.Tensor) -> None:
    found = localisation(inside.float(), inside)
    assert (found["saliency_inside"], found["pointing_game"], found["localised_images"]) == (1.0, 1.0, 400.0)
    assert found["mask_area"] == pytest.approx(1 / 16)
    prior = centre_prior(16, 16).expand_as(inside)
    for name, score in (("saliency_inside", saliency_inside), ("pointing_game", pointing_game)):
        each = score(prior, inside)
        assert found[f"{name}.centre"] == pytest.approx(each.mean())
        assert found[f"{name}.over_centre"] == pytest.approx(1 - each.mean())
        assert found[f"{name}.over_centre_se"] == pytest.approx(each.std() / 20)
    assert localisation(inside[:1].float(), inside[:1])["pointing_game_se"] == 0.0


def test_the_maps_of_a_trained_model_point_at_planted_lesions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    make_lesions.make(tmp_path, 100, 32)
    settings = {
        "dataset": "folder", "data_dir": str(tmp_path / "images"), "masks": str(tmp_path / "masks"),
        "model": "small_cnn", "image_size": 32, "epochs": 2, "batch_size": 16, "lr": 0.003, "augment": "false",
    }  # fmt: skip
    for epoch in epochs(Config.parse(settings)):
        if epoch.number == 1:
            assert "pointing_game" not in epoch.metrics, "epoch 1 is no rung"
        epoch.save(tmp_path / "run")
    found = epoch.metrics
    assert found["localised_images"] == 20
    for name in ("saliency_inside", "pointing_game"):
        assert found[f"{name}.over_centre"] > 2 * found[f"{name}.over_centre_se"] > 0
        assert found[name] > 2 * found["mask_area"]
    checkpoint = tmp_path / "run" / layout.CHECKPOINT_FILE
    again = validation_metrics(checkpoint)
    assert {name: again[name] for name in again if name in found} == {name: found[name] for name in again}
    (tmp_path / "masks").rename(tmp_path / "moved")
    assert (
        validation_metrics(checkpoint, masks=str(tmp_path / "moved"))["pointing_game"]
        == found["pointing_game"]
    )
    (tmp_path / "moved").rename(tmp_path / "masks")
    assert metrics_on_test(checkpoint)["localised_images"] == 20
