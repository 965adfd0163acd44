"""Costs against hand counts and against the figures of paper B, Table II."""

import pytest

from trainables.models.cost import Inventory, Layer, costs, inventory

PAPER_CNN = inventory("paper_cnn", 1, 28, 10)
TABLE_II = {  # (b1, b2) -> w_bits, a_bits, effective FLOPs of the CNN as Table I gives it
    "regular": ({}, {}, 11_992_448),
    "2-2": ({"conv1": 2, "conv2": 2}, {"conv2": 2, "fc1": 2}, 1_856_648),
    "4-2": ({"conv1": 4, "conv2": 2}, {"conv2": 4, "fc1": 2}, 1_868_816),
    "4-4": ({"conv1": 4, "conv2": 4}, {"conv2": 4, "fc1": 4}, 2_532_368),
    "all-2": (
        dict.fromkeys(("conv1", "conv2", "fc1", "fc2"), 2),
        dict.fromkeys(("conv2", "fc1", "fc2"), 2),
        749_528,
    ),
}
TABLE_II_PRINTED = {"regular": 32_025_344, "2-2": 3_108_704, "4-2": 3_122_816, "4-4": 5_036_480}


def test_macs_of_the_papers_cnn_by_hand() -> None:
    assert [layer.macs for layer in PAPER_CNN.layers] == [
        26 * 26 * 32 * 9,
        24 * 24 * 64 * 32 * 9,
        12 * 12 * 64 * 128,
        128 * 10,
    ]
    assert PAPER_CNN.others == 0


@pytest.mark.parametrize("column", TABLE_II)
def test_effective_flops(column: str) -> None:
    w_bits, a_bits, flops = TABLE_II[column]
    assert costs(PAPER_CNN, w_bits, a_bits, weight_quantiser="lsq")["flops"] == flops


@pytest.mark.parametrize("column", TABLE_II_PRINTED)
def test_the_rule_gives_the_papers_printed_flops_from_its_constants(column: str) -> None:
    """A test vector, never a result: these MACs fit no layer of the paper's own Table I."""
    printed = Inventory(
        layers=tuple(
            Layer(name=name, macs=macs, weights=1, channels=1, biases=1)
            for name, macs in (("conv1", 225_792), ("conv2", 30_618_624), ("fc", 1_180_928))
        ),
        others=0,
    )
    w_bits = {name: bits for name, bits in TABLE_II[column][0].items() if name != "fc"}
    assert costs(printed, w_bits, {}, weight_quantiser="lsq")["flops"] == TABLE_II_PRINTED[column]


def test_macs_of_the_small_cnn_by_hand() -> None:
    small = inventory("small_cnn", 3, 64, 8)
    assert [layer.macs for layer in small.layers] == [
        64 * 64 * 16 * 3 * 9,
        32 * 32 * 32 * 16 * 9,
        16 * 16 * 64 * 32 * 9,
        8 * 8 * 128 * 64 * 9,
        128 * 8,
    ]


def test_bops_and_bytes_by_hand() -> None:
    cost = costs(
        PAPER_CNN, {"conv1": 2, "conv2": 3, "fc1": 4}, {"conv2": 2, "fc1": 6}, weight_quantiser="affine"
    )
    assert cost["bops"] == 194_688 * 2 * 8 + 10_616_832 * 3 * 2 + 1_179_648 * 4 * 6 + 1_280 * 32 * 32
    weights = 288 * 2 // 8 + 18_432 * 3 // 8 + 1_179_648 * 4 // 8 + 1_280 * 4
    scales = 4 * 2 * (32 + 64 + 128)
    assert cost["size_bytes"] == weights + scales + 4 * (32 + 64 + 128 + 10) + 4 * 2


def test_an_odd_number_of_bits_takes_a_whole_byte() -> None:
    layer = Layer(name="a", macs=5, weights=5, channels=1, biases=0)
    model = Inventory(layers=(layer,), others=0)
    assert costs(model, {"a": 3}, {}, weight_quantiser="lsq")["size_bytes"] == 2 + 4


def test_a_residual_block_by_hand() -> None:
    """resnet18 at 64x64: layer1.0 has two 3x3 convolutions 64 -> 64 on 16x16, and two BatchNorms of 64."""
    resnet = inventory("resnet18", 3, 64, 8)
    block = [layer for layer in resnet.layers if layer.name.startswith("layer1.0.")]
    assert [layer.macs for layer in block] == [16 * 16 * 64 * 64 * 9] * 2
    w_bits = {layer.name: 4 for layer in block}
    a_bits = {layer.name: 2 for layer in block}
    full, less = (costs(resnet, w, a, weight_quantiser="lsq") for w, a in (({}, {}), (w_bits, a_bits)))
    assert full["bops"] - less["bops"] == sum(layer.macs * (1024 - 8) for layer in block)
    saved = 2 * (64 * 64 * 9 * 28 // 8 - 4 * 64 - 4 + 3 * 4 * 64)  # of its norm a bias is left
    assert full["size_bytes"] - less["size_bytes"] == saved
    assert resnet.others == 4 * (
        64 * 5 + 128 * 5 + 256 * 5 + 512 * 5
    )  # gamma, beta, mean, variance of 20 norms


def test_a_depthwise_convolution_by_hand() -> None:
    """mobilenet_v3_small at 64x64: features.1 is a depthwise 3x3 with stride 2 on 16 channels, 32x32 -> 16x16."""
    mobile = inventory("mobilenet_v3_small", 3, 64, 8)
    depthwise = next(layer for layer in mobile.layers if layer.name == "features.1.block.0.0")
    assert (depthwise.macs, depthwise.weights) == (16 * 16 * 16 * 9, 16 * 9)
