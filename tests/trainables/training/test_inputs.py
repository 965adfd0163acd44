"""The images of a configuration: loaded, described, and scaled."""

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from study_common.errors import UserError
from trainables.data import load, load_test
from trainables.training import inputs
from trainables.training.config import Config
from trainables.training.inputs import (
    check_images,
    data_of,
    dataset_facts,
    described,
    positive_index,
    scale_of,
    signature,
    write_files,
)

Settings = dict[str, object]


def test_a_refit_trains_on_the_validation_images_too() -> None:
    plain, both = data_of(Config()), data_of(Config(refit=True))
    assert both.train.images.equal(torch.cat([plain.train.images, plain.validation.images]))
    assert both.train.labels.equal(torch.cat([plain.train.labels, plain.validation.labels]))
    assert both.validation.images.equal(plain.validation.images)
    assert both.mean == plain.mean  # the normalisation of the search


def test_the_facts_count_the_images_of_each_split() -> None:
    facts, data = dataset_facts(Config()), load("fashion_mnist_small")
    assert (facts.classes, facts.train, facts.validation) == (10, 5000, 1000)
    assert facts.fingerprint == data.fingerprint


def test_a_model_of_torchvision_sees_grey_folders_in_colour(settings: Settings) -> None:
    for model in ("small_cnn", "resnet18"):
        config = Config.parse(settings | {"model": model, "image_size": 64})
        assert data_of(config).train.images.shape[1:] == (3, 64, 64)
    assert data_of(Config()).train.images.shape[1:] == (1, 28, 28)


def test_the_test_split_is_not_among_the_images_of_a_run() -> None:
    def images(split):
        return {row.numpy().tobytes() for row in split.images.flatten(1)}

    held = images(inputs.test_split_of(Config()))
    assert held == images(load_test("fashion_mnist_small"))
    assert not held & images(data_of(Config(refit=True)).train)


def test_one_of_two_classes_can_be_positive() -> None:
    config = Config.parse({"positive": "tumour"})
    assert positive_index(config, ("healthy", "tumour")) == 1
    assert positive_index(Config(), ("healthy", "tumour")) is None
    with pytest.raises(UserError, match="unknown class 'tumour'; the nearest is 'tumor'"):
        positive_index(config, ("healthy", "tumor"))
    with pytest.raises(UserError, match="there are 3 classes; of two one can be positive"):
        positive_index(config, ("a", "b", "tumour"))


def test_scaled_training_pixels_have_mean_0_and_deviation_1() -> None:
    data = data_of(Config())
    scaled = scale_of(data, torch.device("cpu"))(data.train.images)
    assert scaled.mean().item() == pytest.approx(0, abs=1e-4)
    assert scaled.std().item() == pytest.approx(1, abs=1e-3)


def test_the_signature_is_channels_size_and_classes() -> None:
    data = data_of(Config())
    assert signature(data) == (1, 28, 10)
    assert described(data)["signature"] == (1, 28, 10)
    assert described(data)["class_names"] == data.class_names


def test_a_checkpoint_of_other_images_is_rejected_by_name() -> None:
    data = data_of(Config())
    check_images(Path("x"), described(data), data, "")
    other = replace(data, fingerprint="0" * 16)
    with pytest.raises(UserError, match="x was trained on other images than DIR holds now; restore them"):
        check_images(Path("x"), described(data), other, "DIR")
    with pytest.raises(UserError, match=f"than {data.name} holds now"):
        check_images(Path("x"), described(data), other, "")


def test_the_files_of_a_folder_are_listed_and_those_of_an_embedded_set_are_not(
    settings: Settings, tmp_path: Path
) -> None:
    write_files(Config(), tmp_path / "none.csv")
    assert not (tmp_path / "none.csv").exists()
    write_files(Config.parse(settings), tmp_path / "files.csv")
    with (tmp_path / "files.csv").open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 120
