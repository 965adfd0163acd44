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


ONE = {"type": "choice", "values": [1]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"paramters": {}}, "unknown key 'paramters'; the nearest is 'parameters'"),
        ({"description": 3}, "description must be a string"),
        ({"parameters": [ONE]}, "parameters must be a table"),
        (
            {"bits": {"layers": "*", "values": [2, 5]}},
            "[bits]: 5 is not a valid bit-width; choose from 2, 3, 4, 6, 8, 32",
        ),
        ({"bits": {"layers": "*", "values": [4.0]}}, "4.0 is not a valid bit-width"),
        ({"bits": {"layers": "*", "values": [True]}}, "True is not a valid bit-width"),
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
            "parameter bits.conv1: 5 is not a valid bit-",
        ),
        (
            {"parameters": {"bits": {"type": "int", "low": 2, "high": 4, "step": 2}}, "fixed": {"w_bits": 1}},
            "1 is not",
        ),
        ({"parameters": {"bits": {"type": "float", "low": 2, "high": 4}}}, "not a valid bit-width"),
        ({"parameters": {"p": ONE}, "fixed": {"p": 1}}, "p is both varied and in [fixed]"),
        ({"parameters": {"p": ONE}, "fixed": {"q": [1]}}, "[fixed]: q must be a finite number"),
        ({"parameters": {"p": ONE}, "points": [{"q": 1}]}, "leave out [parameters] and [bits]"),
        (
            {"points": [{"q": 1}, {"r": 1}]},
            "[[points]] number 2: every point must set the same names; q is not",
        ),
        ({"points": [{"q": 1}, {"q": 2}, {"q": 1}]}, "[[points]] number 3: it repeats"),
        ({"points": [{"w_bits": {"conv1": 5}}]}, "5 is not a valid bit-width"),
        ({"points": [3]}, "must be a table of names and values"),
        ({"parameters": {"p": ONE | {"when": {"q": [1]}}, "q": ONE}}, "names q, which must stand above it"),
        ({"parameters": {"q": ONE, "p": ONE | {"when": {"q": [2]}}}}, "asks for q = 2, which q never is"),
        ({"parameters": {"p": ONE | {"when": {"p": [1]}}}}, "names p, which must stand above it"),
    ],
)
def test_bad_documents(document, message):
    assert message in refused(document)


def test_unknown_names_and_files(tmp_path):
    with pytest.raises(UserError, match="unknown space 'mixed_bit'; the nearest is 'mixed_bits'"):
        search_spaces.load("mixed_bit")
    with pytest.raises(UserError, match=r"cannot read the space file .*my\.toml: No such file"):
        search_spaces.load(tmp_path / "my.toml")
    with pytest.raises(UserError, match="is a folder; name a"):
        search_spaces.load(tmp_path)
    with pytest.raises(UserError, match="a user that is not known here"):
        search_spaces.load("~nobody-x/my.toml")
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


def test_a_file_nested_too_deeply_is_refused(tmp_path):
    (tmp_path / "deep.toml").write_text(f"a = {'[' * 3000}{']' * 3000}")
    with pytest.raises(UserError, match=r"deep\.toml .*cannot be read as a space: it is nested more than"):
        search_spaces.load(tmp_path / "deep.toml")
