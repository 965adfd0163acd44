"""What a user's network must be: each that cannot be trained rightly is one sentence before the first step."""

import re

import pytest
import torch
from torch import nn

from study_common.errors import UserError
from trainables.models.catalogue import build
from trainables.models.suitability import check_model, uncounted_products

NETS = "tests.trainables.models.nets:"
REFUSED = {
    "CalledTwice": "calls its layer conv2 2 times.* give each call a layer",
    "FunctionOfAWeight": "never calls its layer fc1.* call the layer instead",
    "ComputedWeight": "calls linear with a weight that is no layer's own.* call a Conv2d or Linear instead",
    "OwnProduct": "multiplies with a parameter by .*matmul.* use a Linear",
    "KernelOnOnePixel": "the layer conv2 reads a map of one pixel; set a larger image_size",
    "Transposed": re.escape("counted: up (ConvTranspose2d), row (GRUCell); replace them by Conv2d or Linear"),
    "SharedWeight": "layers fc1 and fc3 of .* share one weight; give each its own",
    "Lazy": "has lazy layers; state their input sizes",
    "NothingToQuantise": "has no Conv2d or Linear, so there is nothing to quantise; give it one",
    "OneLogitTooMany": re.escape("returns (2, 4) for 2 images of 3 classes; let it return (2, 3)"),
    "AuxiliaryOutput": "returns a tuple; let it return the logits alone",
    "BlindToImages": "do not depend on the image; nothing can be learned",
    "View": r"RuntimeError: view size .* \(nets.py, line \d+\)$",
    "LayersBySize": "the layers of .* depend on the images",
    "OtherArguments": r"with channels=3, size=16, classes=3 fails: TypeError: .*'channels'.*",
    "one_for_all": "returns the same weights at every call; let it build a new model each time",
    "compiled": "is compiled by torch.compile, which hides its layers; return the module itself",
    "frozen": "freezes the weights of its layer conv2, which must adapt to their widths; leave out",
    "Epsilon": "has an attribute epsilon, which is what the mask's threshold is called; rename it",
    "Probabilities": "returns probabilities; let it return the logits",
    "DividesByZero": "returns values that are not finite",
    "NeverAlone": r"a pass of \(1, 3, 16, 16\) images .*no company \(nets.py",
    "BatchStatistics": "gives an image other logits when another one is in its batch",
    "script": r"fails: SystemExit: 3 \(nets.py, line \d+\)$",
    "no_module": "returns a str; let it return an nn.Module",
    "broken": r"fails: ZeroDivisionError: .* \(nets.py, line \d+\)$",
}


@pytest.mark.parametrize("net", REFUSED)
def test_a_network_that_cannot_be_trained_rightly_is_refused(net: str) -> None:
    with pytest.raises(UserError, match=REFUSED[net]):
        check_model(NETS + net, 3, 16, 3, twice=False)


@pytest.mark.parametrize("net", ["Plain", "same", "ManyNorms", "OnePixel"])
def test_an_unusual_network_is_accepted_and_the_random_numbers_stay(net: str) -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    check_model(NETS + net, 3, 16, 3, twice=True)
    assert torch.get_rng_state().equal(before)


def test_what_lambda2_cannot_differentiate_is_named() -> None:
    check_model(NETS + "HardSigmoidCall", 3, 16, 3, twice=False)
    with pytest.raises(UserError, match=r"differentiated again at act \(Once\) .* set lambda2=0"):
        check_model(NETS + "HardSigmoidCall", 3, 16, 3, twice=True)


def test_products_of_activations_are_named_since_costs_do_not_count_them() -> None:
    class Attention(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            rows = x.flatten(2)
            return (rows @ rows.mT).softmax(-1)

    assert uncounted_products(Attention(), torch.rand(1, 3, 4, 4)) == ("matmul",)
    assert (
        uncounted_products(build("small_cnn", channels=3, size=16, classes=2), torch.rand(1, 3, 16, 16)) == ()
    )
