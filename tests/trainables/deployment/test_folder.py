"""An exported folder: complete, runnable where there is nothing but ONNX Runtime and numpy, or refused in one line."""

import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from search_spaces import Target
from study_common import digests, files, layout
from study_common.errors import StudyWarning, UserError
from tests.trainables.deployment.conftest import make
from trainables.choices import DATASETS
from trainables.deployment import card, parity, qdq, runtime
from trainables.deployment.folder import check_target
from trainables.export import main
from trainables.training import checkpoint
from trainables.training.config import Config
from trainables.training.run import epochs


@pytest.fixture(scope="module")
def folder(trained: tuple[Path, dict[str, float]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of a short run in every format."""
    out = tmp_path_factory.mktemp("exported") / "model"
    formats = [word for name in ("onnx", "lowbit", "qonnx", "packed") for word in ("--format", name)]
    assert main([str(trained[0] / "checkpoint.safetensors"), "--out", str(out), *formats]) == 0
    return out


def test_the_folder_holds_every_format_and_a_card(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == {
        "model.onnx", "model.lowbit.onnx", "model.qonnx", "model.packed", "model_card.md", "README.md",
        "classify.py", "saliency.png",
    }  # fmt: skip
    card = (folder / "model_card.md").read_text()
    for part in (
        "## Quality",
        "## Confusion matrix",
        "## Widths",
        "## Saliency",
        "python -m trainables.train --set",
    ):
        assert part in card
    for line in (folder / "classify.py").read_text().splitlines():
        assert line in card


def test_every_data_set_has_a_licence_in_the_card() -> None:
    """The export of a csv data set ended in a KeyError."""
    assert card.LICENCES.keys() == set(DATASETS)


SALIENCY: dict[str, Callable[[dict[str, Any]], object]] = {
    "of other shapes": lambda arrays: arrays.update(maps=arrays["maps"][:, :-1]),
    "without maps": lambda arrays: arrays.pop("maps"),
    "not pictures": lambda arrays: arrays.update(images=arrays["images"].astype("U1")),
    "too large": lambda arrays: arrays.update(more=np.zeros(2**21, np.uint8)),
}


@pytest.mark.parametrize("harm", SALIENCY)
def test_a_saliency_file_that_no_run_wrote_is_left_out_of_the_card(
    harm: str,
    trained: tuple[Path, dict[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It has a digest, as whoever made the folder could give it one."""
    monkeypatch.setattr(files, "MAX_UNPACKED_BYTES", 2**20)
    run = shutil.copytree(trained[0], tmp_path / "run")
    with np.load(run / layout.SALIENCY_FILE) as saved:
        arrays = dict(saved)
    SALIENCY[harm](arrays)
    with digests.sealed(run / layout.SALIENCY_FILE) as part, part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    words = [str(run / layout.CHECKPOINT_FILE), "--out", str(tmp_path / "model"), "--format", "packed"]
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which a command replaces
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        assert main(words) == 0
    assert "saliency.npz is left out of the model card: " in capsys.readouterr().err
    assert not (tmp_path / "model" / layout.SALIENCY_IMAGE_FILE).exists()


def clean(folder: Path, script: Path, image: np.ndarray) -> subprocess.CompletedProcess[str]:
    """Run a script where nothing but numpy and onnxruntime can be imported."""
    packages = folder / "packages"
    packages.mkdir(exist_ok=True)
    for module in (np, onnxruntime):
        source = Path(str(module.__file__)).parent
        for path in (source, source.with_name(f"{source.name}.libs")):
            if path.exists() and not (packages / path.name).exists():
                (packages / path.name).symlink_to(path)
    np.save(folder / "image.npy", image)
    return subprocess.run(
        [sys.executable, "-S", str(script), str(folder / "image.npy")],
        env={"PYTHONPATH": str(packages), "PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_script_of_the_card_classifies_an_image_in_a_clean_environment(
    folder: Path, tmp_path: Path
) -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    done = clean(tmp_path, folder / "classify.py", image)
    assert done.returncode == 0, done.stderr
    session = runtime.session((folder / "model.onnx").read_bytes())
    names = json.loads(session.get_modelmeta().custom_metadata_map["class_names"])
    assert done.stdout.startswith(names[int(runtime.logits(session, image[None]).argmax())])


def test_the_script_names_the_size_that_the_model_takes(folder: Path, tmp_path: Path) -> None:
    done = clean(tmp_path, folder / "classify.py", np.zeros((1, 32, 32), np.uint8))
    assert done.returncode == 1
    assert "bring it to uint8 (1, 28, 28)" in done.stderr


def test_a_folder_with_other_files_is_refused(
    trained: tuple[Path, dict[str, float]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    assert main([str(trained[0] / "checkpoint.safetensors"), "--out", str(tmp_path)]) == 2
    assert "holds other files (notes.txt); choose another --out" in capsys.readouterr().err


def test_a_graph_that_disagrees_is_not_written(
    trained: tuple[Path, dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    right = runtime.logits
    monkeypatch.setattr(runtime, "logits", lambda session, images: -right(session, images))
    out = tmp_path / "out"
    assert main([str(trained[0] / "checkpoint.safetensors"), "--out", str(out), "--format", "onnx"]) == 2
    assert "model.onnx was not written: without optimisation it gives" in capsys.readouterr().err
    assert not out.exists()


def test_an_old_runtime_is_told_which_release_can(
    trained: tuple[Path, dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setattr(onnxruntime, "__version__", "1.16.3")
    arguments = [
        str(trained[0] / "checkpoint.safetensors"),
        "--out",
        str(tmp_path / "out"),
        "--format",
        "onnx",
    ]
    assert main(arguments) == 2
    assert "model.onnx needs ONNX Runtime 1.20 or later, and this is 1.16.3" in capsys.readouterr().err


def test_a_model_of_float_weights_has_no_low_bit_file(
    settings: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = settings | {"bits": 32, "epochs": 0, "model": "small_cnn", "batch_size": 16}
    next(epochs(Config.parse(given))).save(tmp_path / "run")
    arguments = [str(tmp_path / "run" / "checkpoint.safetensors"), "--out", str(tmp_path / "out")]
    assert main([*arguments, "--format", "lowbit"]) == 2
    assert (
        "float weights only, which no low-bit file can hold; leave --format lowbit out"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "out").exists()


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1000])


def of_another_model(path: Path) -> None:
    """One whose description was changed, and not its digest."""
    with safe_open(path, "pt") as file:
        tensors, about = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
    save_file(tensors, path, {name: text.replace("paper_cnn", "small_cnn") for name, text in about.items()})


def of_another_version(path: Path) -> None:
    """One that has a setting which this one does not know."""
    tensors, about = checkpoint.read(path)
    checkpoint.write(path, tensors, about | {"config": about["config"] | {"temperature": 1.0}})


def of_other_layers(path: Path) -> None:
    """One whose network has other tensors."""
    tensors, about = checkpoint.read(path)
    checkpoint.write(path, {f"body.{name}": tensor for name, tensor in tensors.items()}, about)


@pytest.mark.parametrize("damage", [cut, of_another_model, of_another_version, of_other_layers])
def test_a_checkpoint_that_is_damaged_or_of_another_version_is_refused(
    damage: Callable[[Path], None], trained: tuple[Path, dict[str, float]], tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    copy = shutil.copytree(trained[0], tmp_path / "run") / "checkpoint.safetensors"
    damage(copy)
    assert main([str(copy), "--out", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"error: {copy}")
    assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("bits", "release"), [(4, "1.20"), (2, "1.24")])
def test_a_low_bit_file_names_the_release_that_reads_it(
    bits: int, release: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = make("paper_cnn", 12, bits, 8, grey=True, count=1)
    graph = qdq.write(example.network, mean=example.mean, std=example.std, low_bit=True, metadata={}).model
    monkeypatch.setattr(onnxruntime, "__version__", "1.19.2")
    with pytest.raises(
        UserError, match=f"model.lowbit.onnx needs ONNX Runtime {release} or later, and this is 1.19.2"
    ):
        runtime.require(graph, "model.lowbit.onnx")


def test_a_target_says_which_formats_it_reads(trained: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text('weights = [4]\nactivations = [4]\nformats = ["qonnx"]\n')
    arguments = [str(trained[0] / "checkpoint.safetensors"), "--target", str(tmp_path / "mine.toml")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").glob("model.*")} == {"model.qonnx"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "weights = [8]\nactivations = [8]",
            "target mine takes 8 for w_bits.conv1, and not 4; give it one of those",
        ),
        (
            'weights = [4]\nactivations = [4]\nformats = ["onx"]',
            "unknown format 'onx'; the nearest is 'onnx'",
        ),
    ],
)
def test_a_model_that_the_target_does_not_take_is_refused(
    trained: tuple[Path, dict[str, float]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    text: str,
    message: str,
) -> None:
    (tmp_path / "mine.toml").write_text(text)
    arguments = [str(trained[0] / "checkpoint.safetensors"), "--target", str(tmp_path / "mine.toml")]
    assert main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_an_input_with_a_zero_point_is_named_where_none_may_be() -> None:
    target = Target(name="mine", weights=(4,), activations=(4,), zero_points=False)
    config = Config.parse({"model": "mobilenet_v3_small", "bits": 4})
    with pytest.raises(
        UserError, match=r"the input of features\.1\.block\.0\.0 has one because it can be negative"
    ):
        check_target(target, make("mobilenet_v3_small", 64, 4, 4, count=2).model, config)


def test_the_logits_of_a_nan_do_not_pass() -> None:
    found = parity.compare(np.eye(3), np.full((3, 3), np.nan))
    with pytest.raises(ValueError, match="was not written"):
        parity.require(found, "model.onnx", "optimised", lambda: found)


def near(same_class: float, error: float) -> parity.Parity:
    return parity.Parity(images=200, same_class=same_class, error=error, largest=1.0)


def test_a_graph_may_change_as_many_classes_again_as_rounding_alone() -> None:
    with pytest.warns(StudyWarning, match="98.0% of 200 images .* and the model in double precision 99.0%"):
        parity.require(near(0.98, 0.05), "model.onnx", "optimised", lambda: near(0.99, 0.04))


@pytest.mark.parametrize(("found", "own"), [(near(0.98, 0.05), 0.995), (near(0.98, 0.2), 0.98)])
def test_a_graph_that_differs_by_more_than_rounding_is_refused(found: parity.Parity, own: float) -> None:
    with pytest.raises(UserError, match="was not written"):
        parity.require(found, "model.onnx", "optimised", lambda: near(own, 0.2))


def test_rounding_is_measured_when_a_graph_is_not_near_enough(
    trained: tuple[Path, dict[str, float]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(parity, "SAME_CLASS", 2)
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        arguments = [str(trained[0] / "checkpoint.safetensors"), "--out", str(tmp_path / "out")]
        assert main([*arguments, "--format", "onnx"]) == 0
    assert "100.0% of 256 images" in (said := capsys.readouterr().err)
    assert "the model in double precision 100.0%" in said
