"""The faithfulness score against closed forms, a plain loop, the bootstrap and an independent implementation."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from trainables.saliency.attribution import saliency_maps
from trainables.saliency.faithfulness import FRACTIONS, faithfulness, standard_error
from trainables.saliency.removal import REMOVALS, Background, black

SIDE = 20
PIXELS = SIDE * SIDE


class Constant(nn.Module):
    """Predicts class 1 of 3 whatever it sees."""

    def forward(self, X):
        return torch.tensor([0.0, 1.0, 0.0]).expand(len(X), 3)


class PatchReader(nn.Module):
    """Reads `size` pixels alone: class 1 if `share` of them or more are lit, class 0 otherwise."""

    def __init__(self, size, share):
        super().__init__()
        self.register_buffer("patch", torch.zeros(SIDE, SIDE))
        self.patch.view(-1)[torch.randperm(PIXELS)[:size]] = 1 / size
        self.share = share

    def forward(self, X):
        lit = (X[:, 0] * self.patch).sum((1, 2))
        return torch.stack([torch.full_like(lit, self.share), lit + 1e-4], 1)


def sensitive(inputs=PIXELS, classes=7):
    """A random network whose class changes with a few pixels."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(inputs, 32), nn.ReLU(), nn.Linear(32, classes))


def images(n, shape=(1, SIDE, SIDE), seed=0):
    return torch.randn(n, *shape, generator=torch.Generator().manual_seed(seed))


def scored(model, X, maps, fill=0.0):
    """The score when removed pixels become the value `fill`."""
    background = Background(black=torch.tensor(fill), white=torch.tensor(0.0), donors=X)
    return faithfulness(model, X, maps, removal=black, background=background)


def explained(model, X):
    return saliency_maps(model, X, model(X).argmax(1))


def loop(model, X, maps, fill):
    """The definition, one image, fraction and pixel at a time; for maps without equal values."""
    hard, soft = [], []
    for image, salience in zip(X, maps, strict=True):
        before = model(image[None]).argmax().item()
        places = list(itertools.product(*map(range, salience.shape)))
        order = sorted(places, key=lambda place: salience[place].item())
        each, gaps = [], []
        for q in FRACTIONS:
            kept, probabilities = [], []
            for ranked in (order, order[::-1]):
                changed = image.clone()
                for y, x in ranked[: round(q * len(places))]:
                    changed[:, y, x] = fill
                kept.append(model(changed[None]).argmax().item() == before)
                probabilities.append(model(changed[None]).softmax(1)[0, before].item())
            each.append(kept[0] - kept[1])
            gaps.append(probabilities[0] - probabilities[1])
        hard.append(sum(each) / len(each))
        soft.append(sum(gaps) / len(gaps))
    return hard, soft


@pytest.mark.parametrize(("shape", "fill"), [((1, SIDE, SIDE), 0.0), ((3, 9, 13), -0.7)])
def test_equals_the_definition_one_pixel_at_a_time(shape, fill):
    model, X = sensitive(math.prod(shape)), images(8, shape)
    maps = explained(model, X)
    found = scored(model, X, maps, fill)
    hard, soft = loop(model, X, maps, fill)
    assert found.kept.tolist() == pytest.approx(hard, abs=1e-12)
    assert found.each.tolist() == pytest.approx(soft, abs=1e-5)
    assert found.score == pytest.approx(np.mean(soft), abs=1e-5)
    assert len(set(hard)) > 2, "the images must not all score alike"


def test_the_score_of_an_image_does_not_depend_on_the_images_beside_it():
    """By any removal, in chunks of 100: the score of each image is the one that it has alone."""
    model, X = sensitive(), images(150)
    maps = explained(model, X)
    background = Background(black=torch.tensor(-1.0), white=torch.tensor(1.0), donors=images(20, seed=9))
    for removal in REMOVALS.values():
        found = faithfulness(model, X, maps, removal=removal, background=background)
        for index in (0, 99, 149):
            one = slice(index, index + 1)
            alone = faithfulness(model, X[one], maps[one], removal=removal, background=background)
            for ours, theirs in ((alone.morf, found.morf), (alone.lerf, found.lerf)):
                torch.testing.assert_close(ours.probability[0], theirs.probability[index], atol=1e-3, rtol=0)
            assert alone.each.item() == pytest.approx(found.each[index].item(), abs=1e-3)


def test_random_attributions_score_0_within_the_standard_error():
    model, X = sensitive(), images(400)
    torch.manual_seed(3)  # another than that of the images: rand and randn share their stream
    draws = [scored(model, X, torch.rand(400, SIDE, SIDE)) for _ in range(8)]
    errors = [found.score / found.standard_error for found in draws]
    assert max(map(abs, errors)) < 3.5
    assert abs(sum(errors)) / math.sqrt(len(errors)) < 3
    own = scored(model, X, explained(model, X))
    assert own.score > 5 * own.standard_error


def test_a_constant_predictor_scores_0():
    found = scored(Constant(), images(30), images(30)[:, 0].abs())
    assert (found.score, found.standard_error) == (0, 0)


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_constant_maps_score_exactly_0(value):
    found = scored(sensitive(), images(30), torch.full((30, SIDE, SIDE), value))
    assert torch.equal(found.lerf.probability, found.morf.probability)
    assert (found.lerf.classes != found.predicted[:, None]).any()
    assert found.score == 0


def test_equal_values_rank_at_random_not_by_position():
    """By position the upper rows would go first, and the class with them, at a quarter of the pixels."""
    reader = PatchReader(PIXELS // 2, 0.5)
    reader.patch.zero_()[: SIDE // 2] = 2 / PIXELS
    kept = scored(reader, torch.ones(1, 1, SIDE, SIDE), torch.zeros(1, SIDE, SIDE)).lerf.classes[0]
    assert kept.tolist()[:2] == [1] * 2
    assert kept.tolist()[3:] == [0] * 2


@given(st.integers(1, PIXELS), st.floats(0.05, 1.0))
def test_an_oracle_that_reads_a_known_patch_scores_its_closed_form(size, share):
    """The gradient is the patch. MoRF lights min(1, removed / size) of it down, LeRF what exceeds the rest."""
    reader = PatchReader(size, share)
    X = torch.ones(3, 1, SIDE, SIDE)
    counts = [round(q * PIXELS) for q in FRACTIONS]
    morf = [size - min(size, c) for c in counts]
    lerf = [size - max(0, c - (PIXELS - size)) for c in counts]
    expected = np.mean(
        [
            (b / size + 1e-4 >= share) - float(a / size + 1e-4 >= share)
            for a, b in zip(morf, lerf, strict=True)
        ]
    )
    found = scored(reader, X, explained(reader, X))
    assert found.kept.mean().item() == pytest.approx(expected, abs=1e-12)


def test_the_oracle_of_a_small_patch_scores_1():
    reader = PatchReader(PIXELS // 10, 0.5)
    X = torch.ones(3, 1, SIDE, SIDE)
    assert scored(reader, X, explained(reader, X)).kept.tolist() == [1] * 3
    assert scored(reader, X, 1 - reader.patch.expand(3, -1, -1)).kept.tolist() == [-1] * 3


def test_the_standard_error_is_the_bootstraps_also_of_a_paired_difference():
    model, X = sensitive(), images(200)
    maps = explained(model, X)
    found, coarse = scored(model, X, maps), scored(model, X, maps * images(200, seed=4)[:, 0].exp())
    picks = torch.randint(200, (4000, 200), generator=torch.Generator().manual_seed(0))
    for each in (found.each, found.each - coarse.each):
        bootstrap = each[picks].mean(1).std().item()
        assert standard_error(each) == pytest.approx(bootstrap, rel=0.05)
    assert found.standard_error == standard_error(found.each)
    unpaired = math.hypot(found.standard_error, coarse.standard_error)
    assert standard_error(found.each - coarse.each) < 0.9 * unpaired


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_only_the_order_counts_and_reversing_it_turns_the_sign(seed):
    model, X = sensitive(), images(8)
    maps = torch.rand(8, SIDE, SIDE, generator=torch.Generator().manual_seed(seed))
    found = scored(model, X, maps)
    assert -1 <= found.score <= 1
    assert torch.equal(scored(model, X, maps.exp()).each, found.each)
    assert scored(model, X, -maps).score == pytest.approx(-found.score, abs=1e-12)


def test_relabelled_classes_change_nothing():
    """No label enters: a predictor that is always wrong is as faithful as one that is always right."""
    model, X = sensitive(), images(20)
    maps = explained(model, X)
    turned = nn.Sequential(*model[:-1], nn.Linear(1, 1))
    turned[-1] = nn.Linear(model[-1].in_features, 7)
    turned[-1].weight.data, turned[-1].bias.data = (
        model[-1].weight.data.roll(1, 0),
        model[-1].bias.data.roll(1),
    )
    assert scored(turned, X, maps).score == pytest.approx(scored(model, X, maps).score, abs=1e-6)


def test_pixel_flipping_of_quantus_gives_the_same_curve():
    quantus = pytest.importorskip("quantus")

    class Kept(nn.Module):
        """One-hot of the predicted class: its "probability" is whether the class was kept."""

        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, X):
            return nn.functional.one_hot(self.model(X).argmax(1), 7).float()

    model, X = sensitive(), images(60)
    maps = explained(model, X)
    found = scored(model, X, maps, -0.5)
    flipping = quantus.PixelFlipping(
        features_in_step=PIXELS // 10, perturb_baseline=-0.5, normalise=False, disable_warnings=True
    )
    theirs = flipping(
        model=Kept(model).eval(), x_batch=X.numpy(), y_batch=found.predicted.numpy(), a_batch=maps[:, None].numpy(),
        softmax=False, device="cpu",
    )  # fmt: skip
    ours = (found.morf.classes == found.predicted[:, None]).float().numpy()
    assert np.abs(np.array(theirs)[:, :9:2] - ours).max() < 1e-6
    assert 0 < ours.mean() < 1
