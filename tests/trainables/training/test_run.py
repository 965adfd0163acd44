"""A run: repeatable, resumable bit for bit at any epoch, and clear about what ends it."""

import logging
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor

import trainables
from study_common import layout
from study_common.errors import UserError
from trainables import Config, NonFiniteError
from trainables.choices import ATTRIBUTIONS
from trainables.training import checkpoint
from trainables.training.evaluation import validation_metrics
from trainables.training.run import Run, epochs

Settings = dict[str, object]


THRESHOLD = {
    "mask": "threshold",
    "lambda2": 1e-3,
    "weight_quantiser": "affine",
    "optimizer": "sgd",
    "lr": 0.01,
}


TIMES = ("seconds",)


def outcome(directory: Path) -> tuple[dict[str, Tensor], pd.DataFrame]:
    tensors, _ = checkpoint.read(directory / "checkpoint.safetensors")
    return tensors, pd.read_csv(directory / "curve.csv").drop(columns=list(TIMES))


def same(a: Path, b: Path) -> bool:
    (first, curve), (second, other) = outcome(a), outcome(b)
    return (
        first.keys() == second.keys()
        and all(first[n].equal(second[n]) for n in first)
        and curve.equals(other)
    )


@pytest.mark.parametrize("changes", [{}, THRESHOLD], ids=["default", "threshold"])
@pytest.mark.parametrize("stop", [1, 2, 3])
def test_a_resumed_run_equals_the_unbroken_one(
    settings: Settings, tmp_path: Path, changes: Settings, stop: int
) -> None:
    config = Config.parse(settings | changes)
    for epoch in epochs(config):
        epoch.save(tmp_path / "whole")
    run = epochs(config, resume=tmp_path / "broken")
    for _ in range(stop):
        next(run).save(tmp_path / "broken")
    run.close()
    rest = list(map(_saved(tmp_path / "broken"), epochs(config, resume=tmp_path / "broken")))
    assert [epoch.number for epoch in rest] == list(range(stop + 1, 5))
    assert same(tmp_path / "whole", tmp_path / "broken")


def _saved(directory: Path):
    def save(epoch: trainables.Epoch) -> trainables.Epoch:
        epoch.save(directory)
        return epoch

    return save


def test_a_finished_run_keeps_no_resume_files_and_has_its_pictures(
    settings: Settings, tmp_path: Path
) -> None:
    for epoch in epochs(Config.parse(settings)):
        epoch.save(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == [
        "SHA256SUMS", "checkpoint.safetensors", "confusion.csv", "curve.csv", "saliency.npz",
    ]  # fmt: skip


def test_an_epoch_is_saved_before_the_next_one_or_not_at_all(settings: Settings, tmp_path: Path) -> None:
    run = epochs(Config.parse(settings | {"epochs": 2}))
    first, second = next(run), next(run)
    with pytest.raises(AssertionError, match="before the next one is asked for"):
        first.save(tmp_path)
    second.save(tmp_path)
    assert checkpoint.read(tmp_path / layout.CHECKPOINT_FILE)[1]["metrics"]["epoch"] == 2


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1000] ^= 1
    path.write_bytes(content)


def _mistake(path: Path) -> None:
    shutil.copy(path.with_name(layout.CHECKPOINT_FILE), path)


def _lead_nowhere(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.with_name("nothing"))


@pytest.mark.parametrize("damage", [_cut, _flip, _mistake, _lead_nowhere])
def test_a_damaged_resume_file_falls_back_a_generation_and_says_so(
    settings: Settings, tmp_path: Path, damage, caplog: pytest.LogCaptureFixture
) -> None:
    config = Config.parse(settings)
    run = epochs(config)
    for _ in range(3):
        next(run).save(tmp_path)
    damage(tmp_path / layout.RESUME_FILE)
    with caplog.at_level(logging.WARNING):
        assert next(epochs(config, resume=tmp_path)).number == 3
    assert "falling back" in caplog.text
    damage(tmp_path / layout.PREVIOUS_FILE)
    assert next(epochs(config, resume=tmp_path)).number == 1


def test_the_seed_decides_everything(settings: Settings) -> None:
    first, again, other = (
        next(epochs(Config.parse(settings | {"seed": seed, "epochs": 1}))).metrics for seed in (1, 1, 2)
    )
    assert first == again
    assert first["loss"] != other["loss"]


def test_faithfulness_is_measured_at_rungs_and_at_the_end(settings: Settings) -> None:
    every = list(epochs(Config.parse(settings | {"rungs": [2]})))
    assert [epoch.number for epoch in every if "faithfulness" in epoch.metrics] == [2, 4]


def test_it_learns(settings: Settings) -> None:
    *_, last = epochs(Config.parse(settings | {"epochs": 8, "augment": False}))
    assert last.metrics["accuracy"] > 0.8


def test_the_embedded_images_are_learned() -> None:
    metrics = next(epochs(Config.parse({"epochs": 1, "bits": 4}))).metrics
    assert metrics["accuracy"] > 0.6
    assert 0 < metrics["kl"] < 1
    assert metrics["mask_fraction"] == 0.5


@pytest.mark.parametrize(("changes", "term"), [({"lr": 1e30}, "cross_entropy"), ({"lambda2": 1e39}, "total")])
def test_a_loss_that_is_not_finite_names_epoch_term_and_config(
    settings: Settings, changes: Settings, term: str
) -> None:
    with pytest.raises(NonFiniteError, match=rf"epoch 1: .*{term}.* is not finite") as error:
        list(epochs(Config.parse(settings | changes)))
    assert '"lambda1": ' in str(error.value)


@pytest.mark.parametrize(("weight_quantiser", "start"), [("affine", "percentile"), ("lsq", "mse")])
def test_no_epochs_is_post_training_quantisation(
    settings: Settings, tmp_path: Path, weight_quantiser: str, start: str
) -> None:
    *_, floats = epochs(Config.parse(settings | {"bits": 32, "epochs": 8, "augment": False}))
    floats.save(tmp_path)
    change = {
        "epochs": 0, "weight_quantiser": weight_quantiser, "alpha_start": start,
        "init": str(tmp_path / "checkpoint.safetensors"),
    }  # fmt: skip
    (wide,), (narrow,) = (list(epochs(Config.parse(settings | change | {"bits": bits}))) for bits in (8, 2))
    assert (wide.number, "faithfulness" in wide.metrics) == (0, True)
    assert wide.metrics["loss"] == pytest.approx(floats.metrics["loss"], abs=0.02)
    assert narrow.metrics["loss"] > wide.metrics["loss"]
    wide.save(tmp_path / "quantised")
    assert validation_metrics(tmp_path / "quantised" / layout.CHECKPOINT_FILE) == wide.metrics


@pytest.mark.parametrize("method", ATTRIBUTIONS)
def test_naming_an_attribution_leaves_the_model_as_it_is(settings: Settings, method: str) -> None:
    """Checking that a method can explain the model must not move BatchNorm's statistics or draw random numbers."""
    plain, named = (
        Run(Config.parse(settings | {"model": "small_cnn", "epochs": 0, "attribution": attribution}))
        for attribution in ("gradient", method)
    )
    for (name, a), b in zip(plain.model.state_dict().items(), named.model.state_dict().values(), strict=True):
        assert a.equal(b), name
    assert plain.measure(0)["loss"] == named.measure(0)["loss"]


def test_balanced_training_weighs_classes_by_their_images(settings: Settings, tmp_path: Path) -> None:
    folder = shutil.copytree(str(settings["data_dir"]), tmp_path / "uneven")
    for path in sorted((folder / "down").iterdir())[20:]:
        path.unlink()
    uneven = settings | {"data_dir": str(folder), "epochs": 1}
    run = Run(Config.parse(uneven | {"balance": "loss"}))
    counts = run.data.train.labels.bincount()
    assert counts.tolist() == [32, 16, 32]
    torch.testing.assert_close(run.class_weights, 80 / (3 * counts))
    plain, balanced = (next(epochs(Config.parse(uneven | {"balance": b}))).metrics for b in ("none", "loss"))
    assert plain["train_loss"] != balanced["train_loss"]
    even = [
        next(epochs(Config.parse(settings | {"epochs": 1, "balance": b}))).metrics for b in ("none", "loss")
    ]
    assert even[0]["train_loss"] == pytest.approx(even[1]["train_loss"], rel=1e-4)


def test_a_run_of_other_settings_is_not_taken_up(settings: Settings, tmp_path: Path) -> None:
    next(epochs(Config.parse(settings))).save(tmp_path)
    for other in ({"lr": 0.5}, {"seed": 7, "bits": 2}):
        with pytest.raises(UserError, match=f"of a run of other settings .*{next(iter(other))}"):
            next(epochs(Config.parse(settings | other), resume=tmp_path))


def test_epsilon_and_alpha_stay_in_their_bounds(settings: Settings) -> None:
    run = Run(Config.parse(settings | THRESHOLD | {"gamma": 5.0, "lr_alpha": 5.0}))
    run.epoch(1)
    assert 0.01 <= run.model.epsilon.item() <= 0.99
    assert all(alpha.item() > 0 for alpha in run.model.parameters() if alpha.dim() == 0)


assert torch.get_num_threads() == 1  # conftest: a run is deterministic on one thread


def test_the_curve_has_what_the_quantisers_learned(settings: Settings, tmp_path: Path) -> None:
    for epoch in epochs(Config.parse(settings | {"epochs": 2, "bits.fc2": 32})):
        epoch.save(tmp_path)
    curve = pd.read_csv(tmp_path / layout.CURVE_FILE)
    assert [name for name in curve if name.startswith("alpha.")] == ["alpha.conv2", "alpha.fc1"]
    assert [name for name in curve if name.startswith("step.")] == ["step.conv1", "step.conv2", "step.fc1"]
    tensors, about = checkpoint.read(tmp_path / layout.CHECKPOINT_FILE)
    assert curve["alpha.fc1"].iloc[-1] == pytest.approx(tensors["fc1.input_quantiser.alpha"].item())
    assert curve["alpha.fc1"].nunique() == 2
    assert not [name for name in about["metrics"] if name.startswith(("alpha.", "step."))]


def test_a_dead_network_is_warned_of(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    next(epochs(Config.parse(settings | {"epochs": 0, "alpha_init": 1e30})))
    assert "the quantised input of conv2, fc1, fc2 is constant; choose another alpha_init" in caplog.text
    caplog.clear()
    next(epochs(Config.parse(settings | {"epochs": 0})))
    assert not caplog.text


def test_one_image_per_step_is_refused_for_a_model_with_batchnorm(settings: Settings) -> None:
    with pytest.raises(UserError, match="small_cnn has BatchNorm, which needs two images; raise batch_size"):
        next(epochs(Config.parse(settings | {"model": "small_cnn", "batch_size": 1})))
