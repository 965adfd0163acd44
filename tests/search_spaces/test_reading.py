"""What a user can get wrong in a space: one sentence each that names the place and the remedy."""

import pytest

import search_spaces
from study_common.errors import UserError


def refused(document):
    with pytest.raises(UserError, match=r"^space mine: ") as info:
        search_spaces.parse(document, "mine")
    message = str(info.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize(
    ("domain", "message"),
    [
        (
            {"type": "float", "low": 2.0, "high": 1.0},
            "parameter p: low 2.0 is greater than high 1.0; swap them",
        ),
        ({"type": "float", "low": 0.0, "high": 1.0, "log": True}, "a log range cannot start at 0.0"),
        ({"type": "float", "low": 0.0, "high": float("inf")}, "low and high must be numbers"),
        ({"type": "float", "low": "0", "high": 1}, "low and high must be numbers"),
        ({"type": "float", "low": True, "high": 2}, "low and high must be numbers"),
        ({"type": "float", "low": 0.0, "high": 1.0, "log": 1}, "log must be true or false"),
        ({"type": "float", "low": 0.0, "hihg": 1.0}, "unknown key 'hihg'; the nearest is 'high'"),
        ({"type": "float", "low": 0.0}, "high is missing"),
        ({"type": "floot", "low": 0.0, "high": 1.0}, "unknown type 'floot'; the nearest is 'float'"),
        ({"type": ["float"]}, "unknown type"),
        ({"low": 0.0, "high": 1.0}, "it must be a table such as"),
        (3, "it must be a table such as"),
        ({"type": "int", "low": 0, "high": 8, "log": True}, "a log range of integers cannot start at 0"),
        ({"type": "int", "low": 1, "high": 8, "log": True, "step": 2}, "a log range has no step"),
        ({"type": "int", "low": 1, "high": 8, "step": 0}, "step must be an integer of at least 1"),
        ({"type": "int", "low": 64, "high": 250, "step": 64}, "end it at 192"),
        ({"type": "int", "low": 1.5, "high": 8}, "low and high must be integers"),
        ({"type": "choice", "values": []}, "at least one value"),
        ({"type": "choice", "values": [1, 1.0]}, "1.0 is listed twice"),
        ({"type": "choice", "values": [[1]]}, "no finite number"),
        ({"type": "choice", "values": "adam"}, "values must be a list such as ['adam']"),
        ({"type": "choice", "values": [1], "when": "x"}, "when must be a table"),
        ({"type": "choice", "values": [1], "when": {"x": "y"}}, "when.x must be a list"),
        ({"type": "choice", "values": [1], "when": {"x": []}}, "when.x must list at least one"),
    ],
)
def test_bad_domains(domain, message):
    said = refused({"parameters": {"p": domain}})
    assert "parameter p: " in said
    assert message in said


ONE = {"type": "choice", "values": [1]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"paramters": {}}, "unknown key 'paramters'; the nearest is 'parameters'"),
        ({"description": 3}, "description must be a string"),
        ({"parameters": [ONE]}, "parameters must be a table"),
        (
            {"bits": {"layers": "*", "values": [2, 5]}},
            "[bits]: 5 is no bit-width; choose from 2, 3, 4, 6, 8, 32",
        ),
        ({"bits": {"layers": "*", "values": [4.0]}}, "4.0 is no bit-width"),
        ({"bits": {"layers": "*", "values": [True]}}, "True is no bit-width"),
        ({"bits": {"layers": "*", "values": []}}, "at least one value"),
        ({"bits": {"layers": "*", "values": [2, 2]}}, "2 is listed twice"),
        (
            {"w_bits": {"layers": "*", "valeus": [2]}},
            "[w_bits]: unknown key 'valeus'; the nearest is 'values'",
        ),
        ({"a_bits": {"values": [2]}}, "[a_bits]: layers is missing"),
        ({"bits": {"layers": [], "values": [2]}}, "layers must be a name or a glob"),
        ({"bits": {"layers": ["a", "b"], "values": [2], "shared": True}}, "shared takes one glob"),
        ({"bits": {"layers": "*", "values": [2], "shared": "yes"}}, "shared must be true or false"),
        ({"bits": "conv1"}, "it must be a table"),
        (
            {"parameters": {"bits": {"conv1": {"type": "choice", "values": [5]}}}},
            "parameter bits.conv1: 5 is no bit-",
        ),
        (
            {"parameters": {"bits": {"type": "int", "low": 2, "high": 4, "step": 2}}, "fixed": {"w_bits": 1}},
            "1 is no",
        ),
        ({"parameters": {"bits": {"type": "float", "low": 2, "high": 4}}}, "no bit-width"),
        ({"parameters": {"p": ONE}, "fixed": {"p": 1}}, "p is both varied and in [fixed]"),
        ({"parameters": {"p": ONE}, "fixed": {"q": [1]}}, "[fixed]: q must be a finite number"),
        ({"parameters": {"p": ONE}, "points": [{"q": 1}]}, "leave out [parameters] and [bits]"),
        (
            {"points": [{"q": 1}, {"r": 1}]},
            "[[points]] number 2: every point must set the same names; q is not",
        ),
        ({"points": [{"q": 1}, {"q": 2}, {"q": 1}]}, "[[points]] number 3: it repeats"),
        ({"points": [{"w_bits": {"conv1": 5}}]}, "5 is no bit-width"),
        ({"points": [3]}, "must be a table of names and values"),
        ({"parameters": {"p": ONE | {"when": {"q": [1]}}, "q": ONE}}, "names q, which must stand above it"),
        ({"parameters": {"q": ONE, "p": ONE | {"when": {"q": [2]}}}}, "asks for q = 2, which q never is"),
        ({"parameters": {"p": ONE | {"when": {"p": [1]}}}}, "names p, which must stand above it"),
    ],
)
def test_bad_documents(document, message):
    assert message in refused(document)


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


def test_unknown_names_and_files(tmp_path):
    with pytest.raises(UserError, match="unknown space 'mixed_bit'; the nearest is 'mixed_bits'"):
        search_spaces.load("mixed_bit")
    with pytest.raises(UserError, match=r"cannot read the space file .*my\.toml: No such file"):
        search_spaces.load(tmp_path / "my.toml")
    with pytest.raises(UserError, match="is a folder; name a"):
        search_spaces.load(tmp_path)
    path = tmp_path / "my.toml"
    path.write_text("[parameters\n")
    with pytest.raises(UserError, match=r"my\.toml is not a TOML file: .*line 1"):
        search_spaces.load(str(path))
    path.write_text("[fixed]\n", encoding="utf-16")  # as PowerShell writes it
    with pytest.raises(UserError, match="is not a TOML file in UTF-8; save it as UTF-8"):
        search_spaces.load(path)
    path.write_text("[fixed]\nlambda1 = 1.0\n")
    with pytest.raises(UserError, match="it varies nothing"):
        search_spaces.load(path)
    for encoding in ("utf-8", "utf-8-sig"):  # with the mark that Windows puts first
        path.write_text('[bits]\nlayers = "*"\nvalues = [2]\n', encoding=encoding)
        assert search_spaces.load(path).name == "my"
