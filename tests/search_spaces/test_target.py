"""A target takes what its file says: a space is narrowed to that, and what cannot be is named with the remedy."""

from pathlib import Path

import pytest

import search_spaces
from search_spaces import Choice, Float, Space, Target, load_target, target_names
from search_spaces.target import parse_target
from study_common.errors import UserError

LAYERS = ["conv1", "conv2", "fc"]


@pytest.mark.parametrize("name", target_names())
def test_every_target_has_sources_and_no_float_layers(name: str) -> None:
    target = load_target(name)
    assert all(source.startswith("https://") for source in target.sources)
    assert target.sources
    assert 32 not in target.weights + target.activations


def test_the_default_space_is_split_where_weights_and_inputs_differ() -> None:
    space = search_spaces.load("mixed_bits").resolve(LAYERS)
    found = load_target("npu_w4a8").restrict(space, LAYERS).parameters
    widths = {name: domain.finite() for name, domain in found.items() if "bits" in name}
    assert widths == {
        "bits.conv1": (4, 8),  # of its weights alone: its input is the image
        "w_bits.conv2": (4, 8), "a_bits.conv2": (8,), "w_bits.fc": (4, 8), "a_bits.fc": (8,),
    }  # fmt: skip
    assert isinstance(found["lambda1"], Float)


def test_a_space_of_allowed_widths_stays_as_it_is() -> None:
    space = search_spaces.load("mixed_bits").resolve(LAYERS)
    assert load_target("finn").restrict(space, LAYERS) == space


def test_a_condition_is_kept() -> None:
    space = Space(
        name="one",
        parameters={
            "mask": Choice(values=("ratio", "threshold")),
            "bits": Choice(values=(2, 8), when={"mask": ("ratio",)}),
        },
    )
    found = load_target("npu_w4a8").restrict(space, LAYERS).parameters
    assert found["bits"] == Choice(values=(8,), when={"mask": ("ratio",)})


def test_widths_of_which_none_is_taken_are_named() -> None:
    space = Space(name="one", parameters={"bits.fc": Choice(values=(2, 4))})
    with pytest.raises(
        UserError, match=r"takes inputs of layers of 8 bits, and bits\.fc is 2 or 4; add one of those"
    ):
        load_target("npu_w4a8").restrict(space, LAYERS)


@pytest.mark.parametrize(
    ("flat", "message"),
    [
        ({"w_bits.fc": 32}, "takes 4 or 8 for w_bits.fc, and not 32; give it one of those"),
        ({"w_bits.fc": 4, "a_bits.fc": 4}, "takes 8 for a_bits.fc, and not 4"),
        ({"weight_quantiser": "lsq"}, "needs weight_quantiser=affine, and not lsq; train with that"),
    ],
)
def test_what_a_run_has_otherwise_is_named(flat: dict[str, object], message: str) -> None:
    target = Target(name="mine", weights=(4, 8), activations=(8,), settings={"weight_quantiser": "affine"})
    with pytest.raises(UserError, match=message):
        target.check({"weight_quantiser": "affine"} | flat)
    assert not target.accepts({"weight_quantiser": "affine"} | flat)
    assert target.accepts({"weight_quantiser": "affine", "w_bits.fc": 8, "a_bits.fc": 8, "epochs": 3})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"weights": [4, 5], "activations": [8]}, "weights: 5 is not a valid bit-width"),
        ({"weights": [], "activations": [8]}, "weights: at least one of 2, 3"),
        ({"weights": 8, "activations": [8]}, r"weights must be a list such as \[8\]"),
        ({"wieghts": [8]}, "unknown key 'wieghts'; the nearest is 'weights'"),
        ({"weights": [8]}, r"activations is missing; write for instance activations = \[8\]"),
        ({"weights": [8], "activations": [8], "settings": 3}, r"\[settings\] must be names and plain values"),
        ({"weights": [8], "activations": [8], "zero_points": 0}, "zero_points must be true or false"),
        ({"weights": [8], "activations": [8], "description": 0}, "description must be a string"),
    ],
)
def test_a_wrong_file_is_told_what_is_wrong(document: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=f"^target mine: {message}"):
        parse_target(document, "mine")


def test_a_users_own_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("weights = [2]\nactivations = [4]\n")
    assert load_target(tmp_path / "mine.toml") == Target(name="mine", weights=(2,), activations=(4,))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unknown target 'fin'; the nearest is 'finn'"):
        load_target("fin")
    with pytest.raises(UserError, match="cannot read the target file"):
        load_target(tmp_path / "none.toml")
    with pytest.raises(UserError, match="a user that is not known here"):
        load_target("~nobody-x/my.toml")
    (tmp_path / "bad.toml").write_text("weights = [")
    with pytest.raises(UserError, match="is not a TOML file"):
        load_target(tmp_path / "bad.toml")


def test_a_file_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.toml").write_text(f"a = {'[' * 3000}{']' * 3000}")
    with pytest.raises(UserError, match=r"deep\.toml .*nested more than"):
        load_target(tmp_path / "deep.toml")
