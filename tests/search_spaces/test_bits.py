"""Names of bit-widths: the layers that each sets, which of two names holds, and what is wrong with one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from search_spaces import KINDS, WIDTHS, BitGroup
from search_spaces.bits import (
    check_widths,
    covers,
    is_width,
    kind_of,
    layer_widths,
    matching_layers,
    owners,
    parse_group,
)
from study_common.errors import UserError

LAYERS = ["conv1", "conv2", "fc1", "fc2"]
ONE = {"type": "choice", "values": [1]}
GLOBS = ("", ".*", ".conv*", ".*1", ".conv2", ".fc?", ".fc1")
NAMES = [f"{kind}{glob}" for kind in KINDS for glob in GLOBS]


@pytest.mark.parametrize(
    "document",
    [
        {"bits": {"layers": "conv9", "values": [2]}},
        {"bits": {"layers": "conv9", "values": [2], "shared": True}},
        {"parameters": {"bits.conv9": {"type": "choice", "values": [2]}}},
        {"parameters": {"lambda1": ONE}, "fixed": {"w_bits": {"conv9": 2}}},
        {"points": [{"a_bits": {"conv9": 2}}]},
    ],
)
def test_a_layer_the_model_does_not_have(document):
    space = search_spaces.parse(document, "mine")
    with pytest.raises(UserError, match="unknown layer 'conv9'; the nearest is 'conv2'"):
        space.resolve(["fc1", "conv2"])


@pytest.mark.parametrize(
    "document",
    [
        {"a_bits": {"layers": "conv1", "values": [2]}},
        {"a_bits": {"layers": ["fc1", "c*1"], "values": [2]}},
        {"a_bits": {"layers": "conv1", "values": [2], "shared": True}},
        {"parameters": {"a_bits.conv1": {"type": "choice", "values": [2]}}},
        {"parameters": {"lambda1": ONE}, "fixed": {"a_bits": {"conv1": 32}}},
        {"points": [{"a_bits": {"conv1": 2}}]},
    ],
)
def test_a_width_of_the_image(document):
    space = search_spaces.parse(document, "mine")
    with pytest.raises(
        ValueError, match="sets nothing: the input of the first layer, conv1, is the 8-bit image"
    ):
        space.resolve(["conv1", "conv2", "fc1"])


@given(st.integers(-1, 40) | st.booleans() | st.floats(0, 33) | st.sampled_from(["4", None]))
def test_a_width_is_one_of_the_integers_listed(value):
    if type(value) is int and value in WIDTHS:
        check_widths([value])
    else:
        with pytest.raises(UserError, match="is not a valid bit-width; choose from 2, 3, 4, 6, 8, 32"):
            check_widths([2, value])


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_both_kinds_sets_what_its_two_halves_set(name):
    kind, _, glob = name.partition(".")
    assert is_width(name)
    assert kind_of(name) == kind
    if kind == "bits":
        halves = {f"{half}.{glob}".rstrip(".") for half in ("w_bits", "a_bits")}
        assert layer_widths(name, LAYERS) == set().union(*(layer_widths(half, LAYERS) for half in halves))


@given(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
def test_the_owner_of_a_width_is_the_most_specific_name_that_sets_it(names):
    found = owners(names, LAYERS)
    assert found.keys() == set().union(*(layer_widths(name, LAYERS) for name in names))
    for width, owner in found.items():
        for name in names:
            if width in layer_widths(name, LAYERS):
                assert (kind_of(owner) != "bits") >= (kind_of(name) != "bits")
                if (kind_of(owner) == "bits") == (kind_of(name) == "bits"):
                    assert len(layer_widths(owner, LAYERS)) <= len(layer_widths(name, LAYERS))


@given(st.sampled_from(NAMES), st.sampled_from(["w_bits.conv2", "a_bits.fc1", "bits.fc2", "w_bits.conv1"]))
def test_a_name_covers_a_layer_if_it_sets_all_the_layers_widths(general, name):
    assert covers(general, name) == (layer_widths(name, LAYERS) <= layer_widths(general, LAYERS))


def test_layers_stand_in_the_order_of_the_model_whatever_the_order_of_the_globs():
    group = BitGroup(kind="bits", layers=("fc*", "conv2"), values=(2, 4))
    assert group.names(LAYERS) == ["bits.conv2", "bits.fc1", "bits.fc2"]
    assert matching_layers("w_bits.*1", LAYERS) == ["conv1", "fc1"]


def test_a_shared_group_is_one_parameter():
    assert BitGroup(kind="w_bits", layers=("*",), values=(2,), shared=True).names(LAYERS) == ["w_bits"]
    assert BitGroup(kind="bits", layers=("fc*",), values=(2,), shared=True).names(LAYERS) == ["bits.fc*"]


@given(
    st.builds(
        BitGroup,
        kind=st.sampled_from(KINDS),
        layers=st.lists(st.sampled_from(["*", "conv1", "fc*"]), min_size=1, max_size=1).map(tuple),
        values=st.lists(st.sampled_from(WIDTHS), min_size=1, unique=True).map(tuple),
        shared=st.booleans(),
    )
    | st.builds(BitGroup, kind=st.just("bits"), layers=st.just(("a", "b*")), values=st.just((2, 8)))
)
def test_the_document_of_a_group_is_read_back_as_it(group):
    assert parse_group(group.kind, group.to_document()) == group
