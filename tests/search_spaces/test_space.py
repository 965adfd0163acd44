"""Spaces: reading, resolving, listing and writing them, against brute force and by properties."""

import itertools
import tomllib

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

import search_spaces
from search_spaces import KINDS, BitGroup, Choice, Float, Int, Space, owners
from search_spaces.bits import layer_widths
from study_common.errors import UserError

LAYERS = ["conv1", "conv2", "fc1", "fc2"]
RESNET18 = [
    "conv1",
    *(f"layer{stage}.{block}.conv{n}" for stage in (1, 2, 3, 4) for block in (0, 1) for n in (1, 2)),
    *(f"layer{stage}.0.downsample.0" for stage in (2, 3, 4)),
    "fc",
]
NAMES = st.text("abcdefghij_", min_size=1, max_size=6)
NUMBERS = st.floats(-1e6, 1e6)
SCALARS = st.one_of(st.integers(-99, 99), st.text(max_size=5), NUMBERS)


@st.composite
def domains(draw, finite=False):
    kind = draw(st.sampled_from(["int", "choice"] if finite else ["float", "int", "choice"]))
    if kind == "choice":
        return Choice(values=tuple(draw(st.lists(SCALARS, min_size=1, max_size=4, unique=True))))
    log = draw(st.booleans())
    if kind == "int":
        low, step = draw(st.integers(1 if log else -9, 9)), 1 if log else draw(st.integers(1, 4))
        return Int(low=low, high=low + step * draw(st.integers(0, 3)), step=step, log=log)
    low, high = sorted(draw(st.tuples(*[st.floats(1e-6 if log else -1e6, 1e6)] * 2)))
    return Float(low=low, high=high, log=log)


@st.composite
def spaces(draw, finite=False):
    """Spaces with conditions, in which a parameter may hang on any finite one above it."""
    parameters = {}
    for name in draw(st.lists(NAMES, min_size=1, max_size=5, unique=True)):
        domain = draw(domains(finite))
        parents = [n for n, d in parameters.items() if d.finite()]
        if parents and draw(st.booleans()):
            parent = draw(st.sampled_from(parents))
            allowed = draw(st.lists(st.sampled_from(parameters[parent].finite()), min_size=1, unique=True))
            fields = {f: getattr(domain, f) for f in domain.__dataclass_fields__}
            domain = type(domain)(**fields | {"when": {parent: tuple(allowed)}})
        parameters[name] = domain
    return Space(name="drawn", description=draw(st.text(max_size=9)), parameters=parameters)


def same(space, other):
    return space == other and list(space.parameters) == list(other.parameters)


@given(spaces())
def test_a_document_through_toml_is_the_same_space(space):
    text = tomli_w.dumps(space.to_document())
    assert same(space, search_spaces.parse(tomllib.loads(text), "drawn"))


@pytest.mark.parametrize("name", search_spaces.names())
@pytest.mark.parametrize("resolved", [False, True])
def test_the_packaged_spaces_go_round_too(name, resolved):
    space = search_spaces.load(name)
    if resolved:
        space = space.resolve(RESNET18 if name.startswith("resnet18") else LAYERS)
    assert same(space, search_spaces.parse(tomllib.loads(tomli_w.dumps(space.to_document())), name))


@given(spaces(finite=True))
def test_grid_and_size_equal_brute_force(space):
    expected = []
    for values in itertools.product(*(d.finite() for d in space.parameters.values())):
        point = {}
        for (name, domain), value in zip(space.parameters.items(), values, strict=True):
            if all(n in point and point[n] in allowed for n, allowed in (domain.when or {}).items()):
                point[name] = value
        if point not in expected:
            expected.append(point)
    grid = list(space.grid())
    assert grid == expected
    assert space.size() == len(expected)
    assert all(point in space for point in grid)


@given(spaces(finite=True), st.data())
def test_fixing_a_value_keeps_the_points_that_have_it(space, data):
    name = data.draw(st.sampled_from(list(space.parameters)))
    value = data.draw(st.sampled_from(space.parameters[name].finite()))
    kept = [point for point in space.grid() if point.get(name) == value]
    fixed = space.fix({name: value})
    assert fixed.fixed == {name: value}
    if not space.parameters[name].when:
        assert [{**point, name: value} for point in fixed.grid()] == kept


def test_mixed_bits_varies_loss_weights_masking_clipping_and_one_width_per_layer():
    space = search_spaces.load("mixed_bits")
    assert list(space.parameters) == ["lambda1", "lambda2", "eta", "mask_ratio", "alpha_init"]
    assert space.parameters["lambda1"] == Float(low=0.01, high=10.0, log=True)
    assert space.parameters["lambda2"] == Choice(values=(0.0, 1e-5, 1e-4))
    resolved = space.resolve(LAYERS)
    assert list(resolved.parameters)[5:] == [f"bits.{layer}" for layer in LAYERS]
    assert resolved.parameters["bits.fc1"] == Choice(values=(2, 3, 4, 6, 8))
    assert resolved.bits == ()
    assert resolved.size() is None
    with pytest.raises(UserError, match="make lambda1 a choice"):
        resolved.grid()


def test_uniform_bits_has_one_width_for_all():
    resolved = search_spaces.load("uniform_bits").resolve(LAYERS)
    assert resolved.parameters["bits"] == Choice(values=(2, 3, 4, 6, 8, 32))
    assert not [name for name in resolved.parameters if name.startswith("bits.")]


def test_table_ii_has_the_five_columns_of_the_paper():
    points = list(search_spaces.load("paper_table_ii").resolve(LAYERS).grid())
    macs = {"conv1": 194_688, "conv2": 10_616_832, "fc1": 1_179_648, "fc2": 1_280}
    flops = [sum(n * point[f"w_bits.{layer}"] for layer, n in macs.items()) / 32 for point in points]
    assert flops == [11_992_448, 1_856_648, 1_868_816, 2_532_368, 749_528]
    inputs = [[point[f"a_bits.{layer}"] for layer in LAYERS[1:]] for point in points]
    assert inputs == [[32, 32, 32], [2, 2, 32], [4, 2, 32], [4, 4, 32], [2, 2, 2]]
    assert not any("a_bits.conv1" in point for point in points)


def test_the_stages_of_a_resnet_share_widths():
    names = list(search_spaces.load("resnet18_stage_bits").resolve(RESNET18).parameters)
    assert names[3:] == ["bits.conv1", *(f"bits.layer{n}.*" for n in (1, 2, 3, 4)), "bits.fc"]


def test_table_i_compares_sgt_with_and_without_pact():
    assert list(search_spaces.load("paper_table_i").resolve(RESNET18).grid()) == [{"bits": 32}, {"bits": 4}]


GROUPED = """
[fixed]
"bits.stem" = 8
bits = 6
[parameters]
bits.head = { type = "choice", values = [4, 8] }
[[bits]]
layers = "layer1.*"
values = [2, 4]
shared = true
[[bits]]
layers = ["layer2.0", "stem", "head"]
values = [3, 6]
[w_bits]
layers = "layer2.1"
values = [2]
"""


def test_groups_leave_a_layer_to_what_names_it_first():
    layers = ["stem", "layer1.0", "layer1.1", "layer2.0", "layer2.1", "head"]
    space = search_spaces.parse(tomllib.loads(GROUPED), "grouped")
    resolved = space.resolve(layers)
    assert {name: domain.finite() for name, domain in resolved.parameters.items()} == {
        "bits.head": (4, 8),
        "bits.layer1.*": (2, 4),
        "bits.layer2.0": (3, 6),
        "w_bits.layer2.1": (2,),
    }
    assert resolved.size() == 8
    fixed = space.fix({"bits": 4}).resolve(layers)
    assert list(fixed.parameters) == []
    assert fixed.fixed == {"bits.stem": 8, "bits": 4}
    assert list(resolved.fix({"bits.layer*": 4}).parameters) == ["bits.head"]


WIDTH_NAMES = [
    f"{kind}{layer}" for kind in KINDS for layer in ("", ".*", ".conv*", ".*1", ".conv2", ".fc1", ".f*")
]
GROUPS = st.builds(
    BitGroup,
    kind=st.sampled_from(KINDS),
    layers=st.sampled_from([("*",), ("conv*",), ("*1",), ("fc2",), ("f*",)]),
    values=st.just((2, 4)),
    shared=st.booleans(),
)


@given(st.lists(GROUPS, min_size=1, max_size=3), st.sets(st.sampled_from(WIDTH_NAMES), max_size=3))
def test_what_is_fixed_holds_and_what_varies_counts(groups, names):
    """Whatever groups overlap with whatever else, unless it is refused."""
    space = Space(name="drawn", bits=tuple(groups)).fix(dict.fromkeys(names, 8))
    try:
        parameters = space.resolve(LAYERS).parameters
    except ValueError as error:
        assert "both set" in str(error)  # noqa: PT017 - not refused is right too
        return
    setters = owners([*names, *parameters], LAYERS)
    assert set(parameters) <= set(setters.values())
    for name in names:
        assert all(setters[width] in names for width in layer_widths(name, LAYERS))


@pytest.mark.parametrize(
    ("first", "second", "left"),
    [
        (("conv*", True), ("*", False), ["bits.conv*", "bits.fc1", "bits.fc2"]),
        (("*", True), ("*", False), [f"bits.{layer}" for layer in LAYERS]),
        (("conv*", True), ("*", True), ["bits.conv*", "bits"]),
        (("f*", True), ("fc*", True), ["bits.f*"]),
        (("c*", False), ("conv*", True), ["bits.conv1", "bits.conv2"]),
    ],
)
def test_an_earlier_group_keeps_its_layers(first, second, left):
    groups = [
        BitGroup(kind="bits", layers=(glob,), values=(2,), shared=shared) for glob, shared in (first, second)
    ]
    assert list(Space(name="x", bits=tuple(groups)).resolve(LAYERS).parameters) == left


def test_layers_that_two_names_could_set_are_refused():
    space = Space(name="x", bits=(BitGroup(kind="w_bits", layers=("*",), values=(2,), shared=True),))
    with pytest.raises(
        ValueError, match=r"bits\.fc1 and w_bits both set w_bits\.fc1; give w_bits\.fc1 a value of"
    ):
        space.fix({"bits.fc1": 8}).resolve(LAYERS)
    groups = [BitGroup(kind="bits", layers=(glob,), values=(2,), shared=True) for glob in ("conv*", "*1")]
    with pytest.raises(UserError, match=r"both set [aw]_bits\..*1; give"):
        Space(name="x", bits=tuple(groups)).resolve(LAYERS)


def test_a_glob_does_not_reach_beyond_its_kind():
    space = search_spaces.parse({"w_bits": {"layers": "conv?", "values": [2]}}, "x").resolve(LAYERS)
    assert list(space.parameters) == ["w_bits.conv1", "w_bits.conv2"]


@pytest.mark.parametrize("layers", ["*", ["*"], "conv?", ["conv2", "*1"], ["fc*", "conv*"]])
def test_the_image_has_no_width(layers):
    """Whatever globs an [a_bits] has, the first layer's input is left out; its weights are not."""
    space = search_spaces.parse(
        {kind: {"layers": layers, "values": [2]} for kind in ("w_bits", "a_bits")}, "x"
    )
    names = list(space.resolve(LAYERS).parameters)
    assert "w_bits.conv1" in names
    assert "a_bits.conv1" not in names
    assert "a_bits.conv2" in names


def test_conditions_on_names_outside_the_space():
    when = {"mask": ["threshold"]}
    gamma = {"type": "float", "low": 1e-3, "high": 1e-1, "log": True, "when": when}
    space = search_spaces.parse({"parameters": {"gamma": gamma}}, "x")
    assert "mask" in space.names()
    assert not space.active("gamma", {})
    assert space.active("gamma", {"mask": "threshold"})
    assert space.fix({"mask": "threshold"}).parameters["gamma"].when is None
    assert not space.fix({"mask": "ratio"}).parameters
    assert not space.settle({"mask": "ratio", "gamma": 0.1}).parameters
    assert space.settle({"gamma": 0.1}) == space
    child = {"type": "choice", "values": [1], "when": {"gamma": [0.1]}}
    chain = search_spaces.parse({"parameters": {"gamma": gamma, "child": child}}, "x")
    assert list(chain.settle({"mask": "threshold"}).parameters) == ["gamma", "child"]
    assert not chain.settle({"mask": "ratio", "gamma": 0.1}).parameters


def test_fixing_names_of_points_merges_what_they_told_apart():
    space = search_spaces.parse({"points": [{"a": 1, "b": 1}, {"a": 2, "b": 1}, {"a": 1, "b": 2}]}, "x")
    assert list(space.fix({"a": 7}).grid()) == [{"b": 1}, {"b": 2}]
    assert list(space.fix({"a": 7, "b": 7}).grid()) == [{}]


def test_a_model_of_many_layers_counts_without_listing():
    layers = [f"layer{n}" for n in range(56)]
    space = search_spaces.parse({"bits": {"layers": "*", "values": [2, 4]}}, "x").resolve(layers)
    assert space.size() == 2**56


@pytest.mark.parametrize("name", search_spaces.names())
def test_what_a_setting_turns_off_does_not_vary(name: str) -> None:
    """Trials that differed in it alone were the same training twice."""
    space, usual = search_spaces.load(name), {"alpha_start": "init", "mask": "ratio"}
    varied = space.settle(usual).parameters
    assert varied.keys() == space.parameters.keys()
    assert not any(domain.when for domain in varied.values())
    for off, fixed in {"alpha_init": {"alpha_start": "mse"}, "mask_ratio": {"mask": "threshold"}}.items():
        kept = space.fix(fixed).settle(usual | fixed).parameters
        assert kept.keys() == varied.keys() - {off}
