"""F-Fidelity: no more is removed than the fine-tuned copy met; an oracle, chance and edges are told apart."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study_common import layout
from trainables.audit.f_fidelity import SHARE, _some_of, _without_pixels, f_fidelity, fine_tuned
from trainables.saliency.removal import Background, Sources
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint

WINDOW = slice(2, 10)


class Reader(nn.Module):
    """The class is the sign of the sum over a window; nothing else is read."""

    def forward(self, X: torch.Tensor) -> torch.Tensor:
        total = X[:, 0, WINDOW, WINDOW].sum((1, 2))
        return torch.stack([total, -total], 1)


class Constant(nn.Module):
    def forward(self, X: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.0, 1.0]).expand(len(X), 2)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    """Noise with one level inside the window: positive in half of the images."""
    generator = torch.Generator().manual_seed(0)
    X = torch.randn(80, 1, 16, 16, generator=generator)
    X[::2, :, WINDOW, WINDOW] += 0.08
    X[1::2, :, WINDOW, WINDOW] -= 0.08
    return X


@pytest.fixture(scope="module")
def background(images: torch.Tensor) -> Background:
    black = torch.full((1, 1, 1, 1), -1.0)
    return Background(black=black, white=-black, donors=images[:10])


def scored(model: nn.Module, X: torch.Tensor, maps: torch.Tensor, background: Background) -> dict[str, float]:
    return f_fidelity(model, model, X, maps, background)


def test_an_oracle_beats_the_edges_and_chance(images: torch.Tensor, background: Background) -> None:
    oracle = torch.zeros(80, 16, 16)
    oracle[:, WINDOW, WINDOW] = 1
    found = scored(Reader(), images, oracle, background)
    assert found["f_fidelity"] > 0.1
    assert found["f_fidelity.over_edge"] > 3 * found["f_fidelity.over_edge_se"]
    chance = scored(
        Reader(), images, torch.rand(80, 16, 16, generator=torch.Generator().manual_seed(2)), background
    )
    assert abs(chance["f_fidelity"]) < 3 * chance["f_fidelity_se"]
    assert scored(Constant(), images, oracle, background)["f_fidelity"] == 0


def test_of_fewer_than_two_images_there_is_no_score(images: torch.Tensor, background: Background) -> None:
    one = images[Reader()(images).argmax(1) == 0]
    assert f_fidelity(Reader(), Constant(), one, torch.ones(len(one), 16, 16), background) == {
        "f_fidelity_images": 0.0
    }


def test_images_that_the_copy_takes_for_another_class_do_not_count(
    images: torch.Tensor, background: Background
) -> None:
    maps = torch.ones(80, 16, 16)
    ones = int((Reader()(images).argmax(1) == 1).sum())
    assert f_fidelity(Reader(), Constant(), images, maps, background)["f_fidelity_images"] == ones


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_no_more_pixels_go_than_the_copy_has_met(
    share: float, images: torch.Tensor, background: Background
) -> None:
    order = torch.rand(80, 1, 16, 16, generator=torch.Generator().manual_seed(3))
    named = order < share
    left = _some_of(images, named, Sources(background=background, seeds=list(range(80))))
    changed = left != images
    assert (changed <= named).all(), "only pixels that the order names"
    gone = changed.flatten(1).sum(1)
    assert torch.equal(gone, named.flatten(1).sum(1).clamp(max=round(SHARE * 256)))
    met = (_without_pixels(images, torch.Generator().manual_seed(4)) == 0).flatten(1).double().mean(1)
    assert 0.8 * SHARE < met.max() < 1.3 * SHARE


def test_fine_tuning_makes_a_model_used_to_missing_pixels_and_leaves_it_as_it_was(
    trained: tuple[Path, dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trainables.audit.f_fidelity.STEPS", 20)
    model, config, _ = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tuned = fine_tuned(model, config)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    again = fine_tuned(model, config)
    assert all(
        torch.equal(a, b)
        for a, b in zip(tuned.state_dict().values(), again.state_dict().values(), strict=True)
    )
    data = data_of(config)
    X = scale_of(data, torch.device("cpu"))(data.validation.images[:300])
    X = _without_pixels(X, torch.Generator().manual_seed(0))
    with torch.no_grad():
        own, theirs = (F.cross_entropy(each(X), data.validation.labels[:300]) for each in (tuned, model))
    assert own < theirs
