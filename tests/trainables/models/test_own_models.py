"""Networks by the name of a callable, and timm's."""

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from study_common.errors import ModelImportError, UserError
from trainables.models import own_models
from trainables.models.catalogue import layer_names, norms, sample

IMAGES = {"channels": 3, "size": 32, "classes": 4}


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A module in a folder of the user; it is forgotten afterwards."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "nets.py").write_text(
        "from torch import nn\n"
        "WIDTH = 3\n"
        "class Nets:\n"
        "    @staticmethod\n"
        "    def make(channels, size, classes):\n"
        "        return nn.Sequential(nn.Flatten(), nn.Linear(channels * size * size, classes))\n"
    )
    (tmp_path / "mine" / "bad.py").write_text("import nothing_at_all\n")
    (tmp_path / "mine" / "script.py").write_text("import sys\nsys.exit(2)\n")
    (tmp_path / "mine" / "worse.py").write_text("def make(:\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "mine.nets:Nets.make"
    for name in [name for name in sys.modules if name.partition(".")[0] == "mine"]:
        del sys.modules[name]


def test_a_callable_is_found_by_its_name(mine: str) -> None:
    assert own_models.make(mine, **IMAGES)(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    assert layer_names(mine) == ("1",)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nowhere.nets:make", "no module nowhere on .*; put its folder on PYTHONPATH, or install it$"),
        ("mine.elsewhere:make", "no module mine.elsewhere on .*; put its folder on PYTHONPATH"),
        (
            "mine.bad:make",
            r"importing mine.bad on .* fails: ModuleNotFoundError: .*nothing_at_all.*bad.py, line 1",
        ),
        ("mine.script:make", r"importing mine.script on .* fails: SystemExit: 2 \(script.py, line 2\)"),
        ("mine.worse:make", "importing mine.worse on .* fails: SyntaxError"),
        ("mine.nets:Nets.mak", "mine.nets has no Nets.mak; the nearest is 'make'"),
    ],
)
def test_what_cannot_be_imported_is_said_with_the_remedy(name: str, says: str, mine: str) -> None:
    with pytest.raises(ModelImportError, match=says):
        layer_names(name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("mine.nets:WIDTH", "is a int; name a function or class"),
        (
            "mine.py:make",
            "mine.py is a place of a file; .* as an import does, such as mine:make, with its folder on",
        ),
        ("./mine/nets:make", "./mine/nets is a place of a file; .* such as nets:make"),
        (":make", "not of the form PACKAGE.MODULE:CALLABLE"),
        ("mine.nets:", "not of the form PACKAGE.MODULE:CALLABLE"),
        ("timm/resnet10", "timm has no model 'resnet10'; the nearest is timm/resnet1"),
        ("timm/hf-hub:someone/model", "timm has no model"),
    ],
)
def test_a_name_of_something_else_is_refused(name: str, says: str, mine: str) -> None:
    with pytest.raises(UserError, match=says):
        layer_names(name)


@pytest.mark.parametrize("channels", [1, 3])
def test_timm_takes_grey_and_colour_of_any_size(channels: int) -> None:
    for name, size in (("timm/test_resnet", 64), ("timm/test_vit", 48)):
        model, _ = sample(name, channels=channels, size=size, classes=4)
        assert model(torch.rand(2, channels, size, size)).shape == (2, 4)


def test_norms_of_timm_with_an_activation_inside_are_parts_with_the_same_values() -> None:
    """Against timm's own module, with the same numbers; each norm behind a convolution can be folded."""
    import timm

    torch.manual_seed(0)
    theirs = timm.create_model("test_efficientnet", num_classes=4)
    for module in theirs.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.running_mean)
    torch.manual_seed(0)
    ours = own_models.make("timm/test_efficientnet", **IMAGES)
    values = {
        name.replace("norm.", "") if name.replace("norm.", "") in theirs.state_dict() else name: tensor
        for name, tensor in ours.state_dict().items()
    }
    assert values.keys() == theirs.state_dict().keys()
    for name, tensor in theirs.state_dict().items():
        values[name].copy_(tensor)
    X = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(ours.eval()(X), theirs.eval()(X))
    wholes = [name for name, m in ours.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert sorted(norms("timm/test_efficientnet").values()) == sorted(wholes)
