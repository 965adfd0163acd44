"""`python -m trainables.evaluate` and `saliency.npz`, on a model of a few training steps."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from study_common import layout
from study_common.errors import NonFiniteError
from trainables.data import batches
from trainables.evaluate import main as evaluate_main
from trainables.models.catalogue import build
from trainables.training import checkpoint, gallery
from trainables.training.config import Config
from trainables.training.evaluation import _masked, choose, evaluate
from trainables.training.inputs import data_of, scale_of
from trainables.training.network import load_checkpoint
from trainables.training.run import Run, epochs

STEPS = 8


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a finished run of a few steps at 4 bits, and the metrics that it recorded."""
    torch.set_num_threads(1)
    run = Run(Config.parse({"bits": 4, "epochs": 1, "precision": "float32"}))
    generator = torch.manual_seed(0)
    for _, (images, labels) in zip(range(STEPS), batches(run.data.train, 64, generator), strict=False):
        run.step(run.scale(images), labels, run.scale.fill("uniform", generator), 1)
    recorded = run.measure(1)
    run.finish(1, 0.0, recorded)
    directory = tmp_path_factory.mktemp("trained")
    run.save(1, directory)
    return directory, recorded


def evaluated(path, capsys):
    code = evaluate_main([str(path)])
    out, err = capsys.readouterr()
    return code, out, err


def test_a_checkpoint_copied_alone_gives_the_recorded_metrics_to_the_bit(trained, tmp_path, capsys):
    directory, recorded = trained
    copy = shutil.copy(directory / layout.CHECKPOINT_FILE, tmp_path / "elsewhere.safetensors")
    code, out, err = evaluated(copy, capsys)
    assert (code, err) == (0, "")
    assert json.loads(out.splitlines()[-1]) == recorded


def test_altered_weights_give_other_metrics(trained, tmp_path, capsys):
    directory, recorded = trained
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    altered = {
        name: -t if name.endswith("fc2.parametrizations.weight.original") else t
        for name, t in tensors.items()
    }
    checkpoint.write(tmp_path / "altered.safetensors", altered, about)
    measured = json.loads(evaluated(tmp_path / "altered.safetensors", capsys)[1])
    assert measured["accuracy"] != recorded["accuracy"]
    assert measured["loss"] != recorded["loss"]
    assert measured["bops"] == recorded["bops"]


def missing(directory, path):
    return "no checkpoint"


def truncated(directory, path):
    path.write_bytes((directory / layout.CHECKPOINT_FILE).read_bytes()[:-1000])
    return "no whole checkpoint"


def text(directory, path):
    path.write_text("lambda1 = 1.0\n")
    return "no whole checkpoint"


def flipped(directory, path):
    content = bytearray((directory / layout.CHECKPOINT_FILE).read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    return "altered"


def a_resume_file(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    checkpoint.write(path, {f"model.{name}": t for name, t in tensors.items()}, about)
    return "no finished model"


def of_nothing(directory, path):
    checkpoint.write(path, {"weight": torch.zeros(1)}, {})
    return "no finished model"


def of_not_a_number(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    weight = "fc2.parametrizations.weight.original"
    checkpoint.write(path, tensors | {weight: tensors[weight] * torch.nan}, about)
    return "not finite"


def data_gone(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    about["config"] |= {"dataset": "fashion_mnist", "data_dir": str(path.parent / "gone")}
    checkpoint.write(path, tensors, about)
    return "no such folder"


def of_another_version(directory, path):
    tensors, about = checkpoint.read(directory / layout.CHECKPOINT_FILE)
    about["config"] |= {"lambda9": 1.0}
    checkpoint.write(path, tensors, about)
    return "lambda9"


@pytest.mark.parametrize(
    "damage",
    [
        missing,
        truncated,
        text,
        flipped,
        a_resume_file,
        of_nothing,
        of_not_a_number,
        data_gone,
        of_another_version,
    ],
)
def test_what_cannot_be_evaluated_ends_with_one_line(damage, trained, tmp_path, capsys):
    reason = damage(trained[0], tmp_path / "x.safetensors")
    code, out, err = evaluated(tmp_path / "x.safetensors", capsys)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err


def test_metrics_of_the_classes_against_counting(trained):
    model, config, about = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)
    run, recorded = Run(config), about["metrics"]
    images, y = run.data.validation
    with torch.no_grad():
        p = model(run.scale(images)).double().softmax(1)
    guess, classes = p.argmax(1), range(10)
    counted = [[int(((y == a) & (guess == b)).sum()) for b in classes] for a in classes]
    found = evaluate(model, run.data.validation, run.scale, config)
    assert found.confusion.tolist() == counted
    table = pd.read_csv(trained[0] / "confusion.csv", index_col="class")
    assert list(table) == list(table.index) == list(run.data.class_names)
    assert table.to_numpy().tolist() == counted

    def ranked(c):
        """The share of pairs of an image of class c and another in which the first has the higher score."""
        mine, others = p[y == c, c][:, None], p[y != c, c]
        return ((mine > others).double() + (mine == others) / 2).mean().item()

    assert recorded["auroc"] == pytest.approx(np.mean([ranked(c) for c in classes]), abs=1e-6)
    assert recorded["sensitivity"] == pytest.approx(
        np.mean([(guess[y == c] == c).double().mean() for c in classes])
    )
    assert recorded["specificity"] == pytest.approx(
        np.mean([(guess[y != c] != c).double().mean() for c in classes])
    )


def test_the_gallery_is_what_results_draws(trained):
    with np.load(trained[0] / layout.SALIENCY_FILE, allow_pickle=False) as arrays:
        images, labels, predictions, maps, names = (
            arrays[name] for name in ("images", "labels", "predictions", "maps", "class_names")
        )
    assert (images.dtype, images.shape) == (np.uint8, (gallery.IMAGES, 28, 28))
    assert (maps.dtype, maps.shape) == (np.float16, (gallery.IMAGES, 28, 28))
    assert set(labels) == set(range(10))
    assert names[9] == "Ankle boot"
    assert (maps.min(), maps.max()) == (0, 1)

    model, config, _ = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)
    run = Run(config)
    chosen = choose(run.data.validation, gallery.IMAGES)
    assert np.array_equal(chosen.images[:, 0].numpy(), images)
    X = run.scale(chosen.images).requires_grad_()
    logits = model(X)
    assert np.array_equal(logits.argmax(1).numpy(), predictions)
    logits.amax(1).sum().backward()
    size = X.grad.abs()[:, 0]
    torch.testing.assert_close(
        torch.tensor(maps).float(), size / size.amax((1, 2), keepdim=True), atol=1e-3, rtol=1e-3
    )


def test_colour_images_and_fewer_than_asked(settings, tmp_path):
    *_, last = epochs(Config.parse(settings))
    last.save(tmp_path)
    validation = 12
    assert last.metrics["faithfulness_images"] == validation
    with np.load(tmp_path / layout.SALIENCY_FILE) as arrays:
        assert arrays["images"].shape == (validation, 16, 16, 3)
        assert arrays["maps"].shape == (validation, 16, 16)
        assert sorted(arrays["labels"]) == [0] * 4 + [1] * 4 + [2] * 4
        assert len(arrays["curve_kept"]) == 30


def test_maps_that_are_not_finite_end_the_run(trained):
    run = Run(Config.parse({"epochs": 1}))
    with torch.no_grad():
        run.model.fc2.weight.mul_(torch.nan)
    with pytest.raises(NonFiniteError, match="gradient maps of 100 of 100"):
        run.measure(1)


def test_no_step_of_the_masked_pass_mixes_devices(trained):
    """A device of shapes alone stands for a GPU: all goes well until a value is asked for."""
    config = load_checkpoint(trained[0] / layout.CHECKPOINT_FILE)[1]
    data, elsewhere = data_of(config), torch.device("meta")
    model = build("paper_cnn", channels=1, size=28, classes=10).to(elsewhere)
    with pytest.raises(RuntimeError, match=r"item\(\) cannot be called on meta tensors"):
        _masked(model, data.validation, scale_of(data, elsewhere), config)
