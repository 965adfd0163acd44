"""Saliency maps against closed forms of linear models, plain autograd and a Grad-CAM by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from study_common.errors import NonFiniteError, UserError
from trainables.choices import ATTRIBUTIONS
from trainables.models.catalogue import build
from trainables.quantisation.quantisers import calibrate, quantise
from trainables.saliency.attribution import _last_activation, blank, check, saliency_maps, slopes


class Small(nn.Module):
    """Two convolutions, then one of 1x1 output, then logits."""

    def __init__(self, channels):
        super().__init__()
        self.first = nn.Conv2d(channels, 4, 3)
        self.second = nn.Conv2d(4, 5, 3)
        self.narrow = nn.Conv2d(5, 8, 8)
        self.last = nn.Linear(8, 3)

    def forward(self, X):
        X = self.second(torch.tanh(self.first(X)))
        return self.last(torch.tanh(self.narrow(torch.relu(X))).flatten(1))


def made(module):
    torch.manual_seed(0)
    return module()


def images(n, channels=3, side=12):
    return torch.randn(n, channels, side, side, generator=torch.Generator().manual_seed(7))


def classes(n, count=3):
    return torch.arange(n) % count


@pytest.mark.parametrize("channels", [1, 3])
def test_the_gradient_is_each_images_own(channels):
    model, X, target = made(lambda: Small(channels)), images(5, channels), classes(5)
    maps = saliency_maps(model, X, target)
    for image, label, found in zip(X, target, maps, strict=True):
        alone = image[None].clone().requires_grad_()
        model(alone)[0, label].backward()
        torch.testing.assert_close(found, alone.grad[0].abs().amax(0))


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_the_map_of_an_image_does_not_depend_on_the_images_beside_it(method):
    """Company of ten times the range, another place in the batch, or more images than one pass takes change nothing."""
    model, X, target = made(lambda: Small(3)), images(250), classes(250)
    X[100:] *= 10
    maps = saliency_maps(model, X, target, method=method)
    assert (maps.flatten(1).std(1) > 0).float().mean() > 0.5
    for some in (slice(10), slice(240, 250), torch.arange(120, 80, -1)):
        alone = saliency_maps(model, X[some], target[some], method=method)
        torch.testing.assert_close(maps[some], alone, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", ["gradient", "smooth_grad", "integrated_gradients"])
def test_on_a_linear_model_maps_are_its_weights(method):
    model = made(lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 144, 3)))
    X, target = images(4), classes(4)
    weights = model[1].weight[target].detach().view_as(X)
    expected = X * weights if method == "integrated_gradients" else weights
    found = saliency_maps(model, X, target, method=method)
    torch.testing.assert_close(found, expected.abs().amax(1), atol=1e-5, rtol=1e-4)


def test_integrated_gradients_add_up_to_the_logits_rise_from_the_mean():
    model, X, target = made(lambda: Small(3)).double(), images(6).double(), classes(6)
    found = (X * slopes(model, X, target, method="integrated_gradients")).flatten(1).sum(1)
    rise = (model(X) - model(torch.zeros_like(X))).gather(1, target[:, None])[:, 0]
    torch.testing.assert_close(found, rise.detach(), atol=0.02, rtol=0.02)


def test_smooth_grad_averages_signed_gradients_over_noise_of_its_size():
    """On sum x^3 the mean gradient over noise of standard deviation s is 3 x^2 + 3 s^2; on sum |x|, near 0, it is 0."""
    X = torch.zeros(1, 1, 40, 40)
    X[0, 0, 0, 0], X[0, 0, 0, 1] = 1, -1  # a range of 2, so s is 0.3

    def of(power):
        class Sum(nn.Module):
            def forward(self, x):
                return power(x).flatten(1).sum(1, keepdim=True)

        return slopes(Sum(), X, torch.zeros(1, dtype=torch.long), method="smooth_grad")[0, 0, 1:]

    assert of(lambda x: x**3).mean().item() == pytest.approx(3 * 0.3**2, rel=0.05)
    assert abs(of(torch.abs).mean().item()) < 0.02
    assert of(torch.abs).std().item() == pytest.approx(16**-0.5, rel=0.1)


def cam_by_hand(activation, logits, target, shape):
    slope = torch.autograd.grad(logits.gather(1, target[:, None]).sum(), activation)[0]
    cam = (slope.mean((2, 3), keepdim=True) * activation).sum(1, keepdim=True).relu()
    return F.interpolate(cam, shape, mode="bilinear")[:, 0].detach()


def test_grad_cam_weighs_the_maps_behind_the_last_wide_convolution_by_their_mean_gradient():
    """Behind its activation: `relu`; not the raw output of `second`, nor the 1x1 output of `narrow`."""
    model, X, target = made(lambda: Small(3)), images(4), classes(4)
    activation = torch.relu(model.second(torch.tanh(model.first(X))))
    logits = model.last(torch.tanh(model.narrow(activation)).flatten(1))
    expected = cam_by_hand(activation, logits, target, (12, 12))
    torch.testing.assert_close(saliency_maps(model, X, target, method="grad_cam"), expected)


@pytest.mark.parametrize(
    "name", ["paper_cnn", "small_cnn", "resnet18", "mobilenet_v3_small", "efficientnet_b0"]
)
def test_grad_cam_of_every_model_looks_at_what_its_classifier_reads(name):
    """Behind convolution, norm, sum and activation: the classifier applied to these maps gives the model's logits."""
    torch.manual_seed(0)
    model = build(name, channels=3, size=64, classes=10).eval()
    X, target = images(3, side=64), classes(3, 10)
    logits, activation = _last_activation(model, X)
    pooled = activation.mean((2, 3))
    ends = {
        "paper_cnn": lambda: model.fc2(F.relu(model.fc1(activation.permute(0, 2, 3, 1).flatten(1)))),
        "small_cnn": lambda: model.fc(pooled),
        "resnet18": lambda: model.fc(pooled),
        "mobilenet_v3_small": lambda: model.classifier(pooled),
        "efficientnet_b0": lambda: model.classifier(pooled),
    }
    torch.testing.assert_close(ends[name](), logits)
    expected = cam_by_hand(activation, logits, target, (64, 64))
    torch.testing.assert_close(saliency_maps(model, X, target, method="grad_cam"), expected)


def test_blank_maps_are_those_that_rank_nothing():
    maps = torch.zeros(3, 4, 4)
    maps[1] = 2.5
    maps[2, 3, 3] = 1e-30
    assert blank(maps).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "model",
    [nn.Sequential(nn.Flatten(), nn.LazyLinear(3)), nn.Sequential(nn.Conv2d(3, 3, 12), nn.Flatten())],
    ids=["no convolution", "1x1 output"],
)
def test_grad_cam_without_a_wide_convolution_is_refused(model):
    model(images(1))
    with pytest.raises(UserError, match="grad_cam needs a convolution"):
        check(model, images(1), "grad_cam")
    check(model, images(1), "gradient")


@pytest.mark.parametrize("method", ATTRIBUTIONS)
@pytest.mark.parametrize(("name", "channels", "side"), [("paper_cnn", 1, 28), ("resnet18", 3, 64)])
def test_quantised_models_are_explained_and_training_draws_the_same_numbers_after(
    name, channels, side, method
):
    torch.manual_seed(0)
    model = build(name, channels=channels, size=side, classes=10)
    quantise(
        model, w_bits={"conv1": 4}, a_bits={"conv2": 2, "fc": 2}, weight_quantiser="lsq", alpha=3.0, norms={}
    )
    X = images(2, channels, side=side)
    calibrate(model.eval(), X)
    state = torch.get_rng_state()
    maps = saliency_maps(model, X, torch.tensor([3, 9]), method=method)
    assert torch.equal(state, torch.get_rng_state())
    assert maps.shape == (2, side, side)
    assert maps.min() >= 0
    assert (maps.flatten(1).std(1) > 0).all()
    assert not maps.requires_grad
    assert torch.equal(maps, saliency_maps(model, X, torch.tensor([3, 9]), method=method))


def test_gradients_that_are_not_finite_are_no_maps():
    class Root(nn.Module):
        def forward(self, X):
            return X.flatten(1).sqrt().sum(1, keepdim=True)  # its gradient at 0 is infinite

    X = torch.ones(3, 1, 4, 4)
    X[1, 0, 2, 2] = 0
    with pytest.raises(NonFiniteError, match="gradient maps of 1 of 3 images are not finite"):
        saliency_maps(Root(), X, torch.zeros(3, dtype=torch.long))
