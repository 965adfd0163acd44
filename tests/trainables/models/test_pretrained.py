"""Pretrained weights: torchvision's own state dicts go in whole, anything else is one clear line."""

import os
import re
import urllib.request
from pathlib import Path

import pytest
import safetensors.torch
import torch
import torchvision
from torch import Tensor

from study_common import layout
from study_common.errors import UserError
from tests.trainables.models.names import OF_TORCHVISION
from trainables import Config, check_pretrained, float_config
from trainables.audit.sanity_check import redraw
from trainables.models.catalogue import build
from trainables.models.pretrained import load_pretrained, published
from trainables.training import checkpoint
from trainables.training.inputs import described
from trainables.training.network import load_checkpoint
from trainables.training.run import Run

State = dict[str, Tensor]


@pytest.fixture(scope="module")
def state() -> State:
    """A resnet18 of torchvision's own, for its 1,000 classes."""
    torch.manual_seed(7)
    return torchvision.models.resnet18(weights=None).state_dict()


@pytest.fixture(scope="module")
def file(state: State, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(state, path)
    return path


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_all_but_another_classifier_is_taken(name: str, suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(1)
    path = tmp_path / f"{name}{suffix}"
    for classes in (1000, 5):
        theirs = getattr(torchvision.models, name)(weights=None, num_classes=classes).state_dict()
        (torch.save if suffix == ".pth" else safetensors.torch.save_file)(theirs, path)
        model = build(name, channels=3, size=64, classes=5)
        drawn = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        load_pretrained(model, name, str(path))
        *_, weight, bias = drawn  # of the classifier
        for key, tensor in model.state_dict().items():
            own = classes == 1000 and key in (weight, bias)
            assert tensor.equal(drawn[key] if own else theirs[key]), key


@pytest.mark.parametrize("name", ["densenet121", "googlenet"])
def test_published_files_of_older_names_and_more_classifiers_are_taken(name: str, tmp_path: Path) -> None:
    """As torchvision's own loading: `norm.1` for DenseNet's `norm1`, and GoogLeNet's two auxiliary classifiers."""
    more = {"aux_logits": True, "init_weights": False} if name == "googlenet" else {}
    theirs = getattr(torchvision.models, name)(weights=None, num_classes=5, **more).state_dict()
    older = {
        re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", key): t for key, t in theirs.items()
    }
    torch.save(older, tmp_path / "weights.pth")
    model = build(name, channels=3, size=64, classes=5)
    load_pretrained(model, name, str(tmp_path / "weights.pth"))
    assert all(tensor.equal(theirs[key]) for key, tensor in model.state_dict().items())


def test_a_model_of_ones_own_starts_from_a_file(tmp_path: Path) -> None:
    name = "tests.trainables.models.nets:Plain"
    theirs = build(name, channels=3, size=16, classes=3).state_dict()
    torch.save(theirs, tmp_path / "weights.pth")
    model = build(name, channels=3, size=16, classes=3)
    load_pretrained(model, name, str(tmp_path / "weights.pth"))
    assert all(tensor.equal(theirs[key]) for key, tensor in model.state_dict().items())
    assert published(name) == ()
    torch.save({}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match=f"conv1.weight is missing; give a state dict of {name}"):
        load_pretrained(model, name, str(tmp_path / "weights.pth"))
    with pytest.raises(UserError, match=r"cannot be read .*; give a file$"):
        load_pretrained(model, name, str(tmp_path / "nowhere.pth"))


def test_files_without_counted_batches_are_taken(state: State, tmp_path: Path) -> None:
    old = {key: tensor for key, tensor in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "old.pth")
    load_pretrained(
        build("resnet18", channels=3, size=64, classes=1000), "resnet18", str(tmp_path / "old.pth")
    )


def lacking(state: State) -> object:
    return {key: tensor for key, tensor in state.items() if key != "layer1.0.bn1.running_var"}


def narrower(state: State) -> object:
    return state | {"conv1.weight": state["conv1.weight"][:, :1]}


def not_finite(state: State) -> object:
    return state | {"layer2.0.conv1.weight": state["layer2.0.conv1.weight"] * torch.nan}


def of_another_head(state: State) -> object:
    return state | {"fc.weight": torch.zeros(1000, 100)}


BAD = {
    lacking: "layer1.0.bn1.running_var is missing",
    narrower: "conv1.weight is of shape (64, 1, 7, 7) and should be (64, 3, 7, 7)",
    not_finite: "layer2.0.conv1.weight is not finite",
    of_another_head: "fc.weight is of shape (1000, 100) and should be (5, 512)",
    lambda state: state | {"epoch": torch.tensor(3)}: "epoch is no tensor of the model",
    lambda state: {f"module.{key}": tensor for key, tensor in state.items()}: "conv1.weight is missing",
    lambda state: {"state_dict": state}: "save model.state_dict() alone",
    lambda state: [1, 2]: "save model.state_dict() alone",
    lambda state: Path("code"): "save model.state_dict() alone",  # a pickled object: it may not run
    lambda state: state | {"bn1.bias": torch.tensor(1.0)}: "bn1.bias is of shape () and should be (64,)",
    lambda state: state | {"bn1.bias": torch.zeros(64, dtype=torch.int8)}: "bn1.bias is of type torch.int8",
    lambda state: state | {"bn1.bias": torch.zeros(64).to_sparse()}: "bn1.bias is no plain tensor",
    lambda state: state | {"bn1.bias": torch.zeros(64, device="meta")}: "bn1.bias is no plain tensor",
}


@pytest.mark.parametrize("change", BAD)
def test_what_does_not_fit_is_named_in_one_line(change, state: State, tmp_path: Path) -> None:
    torch.save(change(state), tmp_path / "bad.pth")
    refused(tmp_path / "bad.pth", BAD[change])


@pytest.mark.parametrize("name", ["bad.pth", "bad.safetensors"])
def test_files_that_are_none(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    refused(path, "cannot be read (No such file or directory")
    for content in (b"", b".", b"hello world\n", b"lambda1 = 1.0\n", bytes(range(256)) * 9):
        path.write_bytes(content)
        refused(path, "is no state dict")
    refused(tmp_path, "cannot be read")
    os.mkfifo(tmp_path / f"pipe-{name}")
    refused(tmp_path / f"pipe-{name}", "cannot be read (it is not a regular file); give a file")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's own cache, empty, on a machine that reaches nobody."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(urllib.request, "_opener", None)  # made by an earlier test, for another proxy
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("name", OF_TORCHVISION)
def test_torchvisions_own_weights_come_by_name(name: str, hub: Path) -> None:
    theirs = getattr(torchvision.models, name)(weights=None).state_dict()
    weights = torchvision.models.get_model_weights(name).DEFAULT
    torch.save(theirs, hub / Path(weights.url).name)
    for given in published(name):
        model = build(name, channels=3, size=64, classes=5)
        load_pretrained(model, name, given)
        assert next(iter(model.state_dict().values())).equal(next(iter(theirs.values())))


def test_weights_that_cannot_be_had_are_one_line(hub: Path) -> None:
    model = build("resnet18", channels=3, size=64, classes=5)
    with pytest.raises(
        ValueError, match=r"IMAGENET1K_V1 of resnet18 cannot be downloaded \(.*refused.*give that file$"
    ):
        load_pretrained(model, "resnet18", "IMAGENET1K_V1")
    assert not list(hub.iterdir())
    (hub / "resnet18-f37072fd.pth").write_bytes(b"cut short")
    with pytest.raises(UserError, match=r"hub/checkpoints/resnet18-f37072fd\.pth is no state dict"):
        load_pretrained(model, "resnet18", "IMAGENET1K_V1")
    with pytest.raises(UserError, match=r"IMAGENET1K_V9 cannot be read .* or torchvision's IMAGENET1K_V1$"):
        load_pretrained(model, "resnet18", "IMAGENET1K_V9")


def refused(path: Path, says: str) -> None:
    model = build("resnet18", channels=3, size=64, classes=5)
    with pytest.raises(UserError, match=r".") as error:
        load_pretrained(model, "resnet18", str(path))
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.fixture
def resnet(settings: dict[str, object], file: Path) -> dict[str, object]:
    """A run whose first layer alone is quantised."""
    change = {"model": "resnet18", "image_size": 64, "pretrained": str(file), "bits": 32, "bits.conv1": 4}
    return settings | change


def test_a_run_starts_from_them_and_its_float_model_too(
    resnet: dict[str, object], state: State, tmp_path: Path
) -> None:
    config = Config.parse(resnet)
    run, floats = Run(config), Run(float_config(config)).model
    assert run.model.conv1.parametrizations.weight.original.equal(state["conv1.weight"])
    assert run.model.fc.out_features == 3
    assert floats.layer4[1].conv2.weight.equal(state["layer4.1.conv2.weight"])
    assert not redraw(config, run.data).layer1[0].conv1.weight.equal(state["layer1.0.conv1.weight"])

    trained = {key: tensor + 1 for key, tensor in floats.state_dict().items()}
    checkpoint.write(tmp_path / "float.safetensors", trained, {})
    after = Run(Config.parse(resnet | {"init": str(tmp_path / "float.safetensors")})).model
    assert after.conv1.parametrizations.weight.original.equal(state["conv1.weight"] + 1)


def test_a_checkpoint_needs_the_file_no_more(resnet: dict[str, object], state: State, tmp_path: Path) -> None:
    copy = tmp_path / "copy.pth"
    torch.save(state, copy)
    config = Config.parse(resnet | {"pretrained": str(copy)})
    check_pretrained(config)
    run = Run(config)
    about = {"config": config.flat(), "metrics": {}, **described(run.data)}
    checkpoint.write(tmp_path / layout.CHECKPOINT_FILE, run.model.state_dict(), about)
    copy.unlink()
    model, *_ = load_checkpoint(tmp_path / layout.CHECKPOINT_FILE)
    assert all(tensor.equal(run.model.state_dict()[key]) for key, tensor in model.state_dict().items())
    with pytest.raises(UserError, match=r"copy\.pth cannot be read"):
        check_pretrained(config)
