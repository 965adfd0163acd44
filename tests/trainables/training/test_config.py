"""The configuration: flat names both ways, precedence of widths, and one clear line for what is wrong."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from search_spaces import WIDTHS
from study_common.errors import UserError
from trainables import Config, costs, float_config, layers, presets

LAYERS = ("conv1", "conv2", "fc1", "fc2")
NAMES = [
    *(f"w_bits.{n}" for n in LAYERS),
    *(f"a_bits.{n}" for n in LAYERS[1:]),
    *(f"bits.{n}" for n in LAYERS),
    "bits",
]


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WIDTHS)),
    st.floats(0, 10),
    st.sampled_from(presets()),
)
def test_flat_and_parse_are_inverse(widths: dict[str, int], lambda1: float, preset: str) -> None:
    config = Config.parse({**widths, "lambda1": lambda1, "preset": preset})
    assert Config.parse(config.flat()) == config


@given(st.dictionaries(st.sampled_from(NAMES), st.sampled_from(WIDTHS)))
def test_the_more_specific_width_wins(widths: dict[str, int]) -> None:
    config = Config.parse(widths)
    for kind, found in (("w_bits", config.w_bits), ("a_bits", config.a_bits)):
        for layer, bits in found.items():
            named = (widths.get(n) for n in (f"{kind}.{layer}", f"bits.{layer}", "bits"))
            assert bits == next((b for b in named if b), 32)


@pytest.mark.parametrize("space", ["mixed_bits", "uniform_bits", "paper_table_i", "paper_table_ii"])
@pytest.mark.parametrize("name", ["w_bits", "a_bits", "a_bits.*", "w_bits.fc*", "bits.fc*", "bits.fc1"])
def test_a_width_fixed_for_a_study_is_that_of_every_trial(space: str, name: str) -> None:
    fixed = {name: 8}
    resolved = search_spaces.load(space).fix(fixed).resolve(LAYERS)
    varied = {n: d.finite()[0] for n, d in resolved.parameters.items() if d.finite()}
    expected = Config.parse(fixed)
    for values in resolved.points or [varied]:
        config = Config.parse({**fixed, **values})
        for kind in ("w_bits", "a_bits"):
            wanted = {layer: bits for layer, bits in getattr(expected, kind).items() if bits == 8}
            assert wanted.items() <= getattr(config, kind).items()


def test_globs_stand_between_all_layers_and_one() -> None:
    config = Config.parse({"bits.conv2": 8, "bits.conv*": 2, "bits": 4})
    assert config.w_bits == {"conv1": 2, "conv2": 8, "fc1": 4, "fc2": 4}
    assert config.a_bits == {"conv2": 8, "fc1": 4, "fc2": 4}


def test_typed_text_becomes_values() -> None:
    config = Config.parse({"epochs": "3", "lr": "1e-2", "augment": "false", "rungs": "1,2", "bits": "4"})
    assert (config.epochs, config.lr, config.augment, config.rungs, config.w_bits["fc2"]) == (
        3,
        0.01,
        False,
        (1, 2),
        4,
    )


@pytest.mark.parametrize(
    ("flat", "says"),
    [
        ({"lamda1": 1}, "lambda1"),
        ({"bits.conv3": 4}, "conv"),
        ({"a_bits.conv1": 4}, "the input of the first layer, conv1, is the 8-bit image; leave it out"),
        ({"bits": 5}, "2, 3, 4, 6, 8, 32"),
        ({"dataset": "fashion_mnist_smal"}, "fashion_mnist_small"),
        ({"model": "resnet19"}, "resnet18"),
        ({"preset": "bets"}, "best"),
        ({"epochs": -1}, "0 or above"),
        ({"epochs": "many"}, "int"),
        ({"seed": -1}, "seed is -1; it must be 0 to 2147483647"),
        ({"seed": 2**31}, "seed is 2147483648; it must be 0 to 2147483647"),
        ({"lr": -1}, "above 0"),
        ({"lambda1": float("nan")}, "0 or above"),
        ({"mask_ratio": 1.0}, "between 0 and 1"),
        ({"mask": "ration"}, "ratio"),
        ({"pretrained": "w.pth"}, "there are no pretrained weights for paper_cnn"),
        ({"model": "mobilenet"}, "the nearest is 'mobilenet_v2' (valid: paper_cnn"),
        ({"balance": "sampler"}, "none"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(flat: dict[str, object], says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)) as error:
        Config.parse(flat)
    assert "\n" not in str(error.value)


def test_presets_are_recipes_that_settings_change() -> None:
    assert Config.parse({"preset": "paper_mnist"}).lr == 0.2
    assert Config.parse({"preset": "paper_mnist", "lr": 0.1}).lr == 0.1
    assert Config.parse({"preset": "paper_kvasir"}).epochs == 50


def test_the_float_model_does_not_depend_on_the_trial() -> None:
    a = float_config(Config.parse({"bits": 2, "lambda1": 3.0, "seed": 5}))
    b = float_config(Config.parse({"bits": 8, "lambda1": 0.1, "seed": 5, "epochs": 2}))
    assert a == b
    assert set(a.w_bits.values()) == {32}
    assert a != float_config(Config.parse({"seed": 6}))
    assert [float_config(Config.parse({"batch_size": n})).batch_size for n in (16, 64, 512)] == [16, 128, 128]
    shared = {"model": "resnet18", "pretrained": "w.pth", "balance": "loss", "augment": False}
    shared["precision"] = "float32"
    assert shared.items() <= float_config(Config.parse(shared)).flat().items()


def test_costs_need_no_training() -> None:
    config = Config.parse({"bits": 2})
    assert layers(config) == LAYERS
    assert costs(config)["flops"] == 749_528


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("true", True),
        (False, False),
        ("rotate,flip_h", ("flip_h", "rotate")),
        (["color", "color"], ("color",)),
        ("upright", ("shift", "rotate")),
        ([], False),
    ],
)
def test_augmentation_is_data(given: object, expected: object) -> None:
    config = Config.parse({"augment": given})
    assert config.augment == expected
    assert Config.parse(json.loads(json.dumps(config.flat()))) == config


@pytest.mark.parametrize("given", ["flip", ["flip_h", "turn"], 3, "", {"a": 1}])
def test_unknown_augmentation_is_refused(given: object) -> None:
    with pytest.raises(UserError, match="augment"):
        Config.parse({"augment": given})
