"""A random order, a constant predictor and a planted oracle under every removal; what the suite records."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from trainables.saliency.attribution import saliency_maps
from trainables.saliency.controls import CONTROLS
from trainables.saliency.faithfulness import FRACTIONS, faithfulness, predict
from trainables.saliency.removal import REMOVALS
from trainables.saliency.suite import OBJECTIVE, assess
from trainables.training.config import Config
from trainables.training.evaluation import background_of, choose
from trainables.training.inputs import data_of, scale_of

WINDOW = slice(9, 19)


class WindowReader(nn.Module):
    """Linear logits of the 10x10 pixels in the middle of a picture; it sees nothing else."""

    def __init__(self, X, y):
        super().__init__()
        self.linear = nn.Linear(100, 10)
        seen = self.seen(X)
        with torch.enable_grad():
            optimizer = torch.optim.LBFGS(self.linear.parameters(), max_iter=30)

            def loss():
                optimizer.zero_grad()
                value = F.cross_entropy(self.linear(seen), y)
                value.backward()
                return value

            optimizer.step(loss)

    def seen(self, X):
        return X[:, 0, WINDOW, WINDOW].flatten(1)

    def forward(self, X):
        return self.linear(self.seen(X))


class Constant(nn.Module):
    def forward(self, X):
        return torch.tensor([0.0, 1.0, 0.0]).expand(len(X), 3)


@pytest.fixture(scope="module")
def planted():
    """A model that reads a window of Fashion-MNIST, 100 images, their background, and the oracle's maps."""
    data = data_of(Config.parse({}))
    scale = scale_of(data, torch.device("cpu"))
    torch.manual_seed(0)
    model = WindowReader(scale(data.train.images[:1000]), data.train.labels[:1000]).eval()
    X = scale(choose(data.validation, 100).images)
    oracle = torch.zeros(100, 28, 28)
    oracle[:, WINDOW, WINDOW] = 1
    return model, X, background_of(data, scale), oracle


def scored(planted, maps, name):
    model, X, background, _ = planted
    return faithfulness(model, X, maps, removal=REMOVALS[name], background=background)


def kept(planted, maps, name):
    return scored(planted, maps, name).kept.mean().item()


def of_objective(planted, maps):
    return sum(scored(planted, maps, name).score for name in OBJECTIVE) / len(OBJECTIVE)


@pytest.mark.parametrize("name", REMOVALS)
def test_a_planted_oracle_scores_high_above_a_random_map_and_above_the_edges(name, planted):
    """`blur` and `road` restore what lies between edges, and so reward the edge map; still less than the oracle."""
    _, X, background, oracle = planted
    found = kept(planted, oracle, name)
    assert found > kept(planted, CONTROLS["random"](X, background), name) + 0.3
    assert found > kept(planted, CONTROLS["edge"](X, background), name) + 0.15
    assert kept(planted, -oracle, name) == pytest.approx(-found, abs=0.05)


def test_under_the_objective_a_planted_oracle_scores_0_3_above_random_and_edge_maps(planted):
    _, X, background, oracle = planted
    for control in ("random", "edge"):
        assert of_objective(planted, oracle) > of_objective(planted, CONTROLS[control](X, background)) + 0.3


@pytest.mark.parametrize("name", REMOVALS)
def test_a_random_order_scores_0_within_its_standard_error(name, planted):
    model, X, background, _ = planted
    generator = torch.Generator().manual_seed(77)
    draws = [
        faithfulness(
            model,
            X,
            torch.rand(100, 28, 28, generator=generator),
            removal=REMOVALS[name],
            background=background,
        )
        for _ in range(6)
    ]
    ratios = [found.score / found.standard_error for found in draws]
    assert max(map(abs, ratios)) < 3.5
    assert abs(sum(ratios)) / math.sqrt(len(ratios)) < 3


@pytest.mark.parametrize("name", REMOVALS)
def test_a_constant_predictor_scores_0(name, planted):
    _, X, background, oracle = planted
    found = faithfulness(Constant(), X, oracle, removal=REMOVALS[name], background=background)
    assert (found.score, found.standard_error) == (0, 0)


@pytest.fixture(scope="module")
def assessed(planted):
    model, X, background, _ = planted
    maps = saliency_maps(model, X, predict(model, X))
    maps[:7] = 2.0
    return assess(model, X, maps, background)


def test_the_score_is_the_mean_of_the_objectives_removals_image_by_image(assessed):
    found = assessed.metrics()
    own = [found[f"faithfulness.{name}"] for name in OBJECTIVE]
    assert found["faithfulness"] == pytest.approx(sum(own) / len(own))
    assert found["faithfulness"] == assessed.score
    each = torch.stack([assessed.by_removal[name].each for name in OBJECTIVE]).mean(0)
    assert found["faithfulness_se"] == pytest.approx(each.std().item() / 10)
    assert found["faithfulness_images"] == 100
    assert not {"mean", "black", "uniform"} & set(OBJECTIVE), "SGT trains on these"


def test_every_removal_and_every_control_is_recorded_with_its_error(assessed):
    found = assessed.metrics()
    for name in (*REMOVALS, *CONTROLS, *(f"over_{control}" for control in CONTROLS)):
        assert -1 <= found[f"faithfulness.{name}"] <= 2
        assert 0 < found[f"faithfulness.{name}_se"] < 0.1
    for control in CONTROLS:
        over, other = (found[f"faithfulness.{part}"] for part in (f"over_{control}", control))
        assert over == pytest.approx(assessed.each[::2].mean().item() - other), "on the images of the control"
    assert found["faithfulness.blank"] == 0.07


def test_the_other_removals_and_the_controls_look_at_every_second_image_of_many(planted, assessed):
    model, X, background, _ = planted
    maps = saliency_maps(model, X, predict(model, X))
    maps[:7] = 2.0
    for name in REMOVALS:
        every = faithfulness(model, X, maps, removal=REMOVALS[name], background=background).each
        expected = every if name in OBJECTIVE else every[::2]
        # ROAD's solver stops when all images of a batch are good enough.
        assert torch.allclose(assessed.by_removal[name].each, expected, atol=5e-3)
    edges = CONTROLS["edge"](X, background)[::2]
    control = faithfulness(model, X[::2], edges, removal=REMOVALS[OBJECTIVE[0]], background=background)
    torch.testing.assert_close(assessed.controls["edge"][OBJECTIVE[0]].each, control.each)
    few = assess(model, X[:9], maps[:9], background, controls=())
    assert {len(found.each) for found in few.by_removal.values()} == {9}


def test_the_removals_of_the_objective_alone_give_the_same_score(planted, assessed):
    model, X, background, _ = planted
    maps = saliency_maps(model, X, predict(model, X))
    maps[:7] = 2.0
    found = assess(model, X, maps, background, removals=OBJECTIVE, controls=()).metrics()
    assert found["faithfulness"] == assessed.score
    assert set(found) == {
        "faithfulness", "faithfulness_se", "faithfulness_images", "faithfulness.blank",
        *(f"faithfulness.{name}{end}" for name in OBJECTIVE for end in ("", "_se")),
    }  # fmt: skip


def test_curves_hold_what_the_score_is_made_of(assessed):
    labels = assessed.by_removal[OBJECTIVE[0]].predicted.clone()
    labels[:50] = -1
    rows = assessed.curves(labels)
    assert len(rows) == (2 * len(REMOVALS) + len(OBJECTIVE)) * (1 + len(FRACTIONS))
    whole = rows[rows["fraction"] == 0]
    assert (whole["kept"] == 1).all()
    assert whole["probability"].nunique() == 2, "of all images, and of every second one"
    assert (whole["accuracy"] == 0.5).all()
    means = rows[rows["fraction"] > 0].pivot_table(
        index="removal", columns="order", values=["kept", "probability"]
    )
    for name in REMOVALS:
        hard, soft = (
            means.loc[name, (kind, "lerf")] - means.loc[name, (kind, "morf")]
            for kind in ("kept", "probability")
        )
        assert hard == pytest.approx(assessed.by_removal[name].kept.mean().item())
        assert soft == pytest.approx(assessed.by_removal[name].score)
    assert set(rows[rows["order"] == "random"]["removal"]) == set(OBJECTIVE)
