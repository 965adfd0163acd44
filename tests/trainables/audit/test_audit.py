"""The examination of one checkpoint: which figures it has, and which references are rejected."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from study_common import layout
from study_common.errors import UserError
from tests.conftest import Command
from trainables.audit.audit import Examination, examine
from trainables.audit.sanity_check import LIMIT
from trainables.models.catalogue import layer_names
from trainables.training.checkpoint import read, write
from trainables.training.config import Config
from trainables.training.run import epochs


def test_a_reference_for_other_images(command: Command, settings: dict[str, object], tmp_path: Path) -> None:
    for size in (16, 20):
        next(epochs(Config.parse({**settings, "epochs": 1, "image_size": size}))).save(tmp_path / str(size))
    own, other = (str(tmp_path / size / layout.CHECKPOINT_FILE) for size in ("16", "20"))
    tensors, about = read(Path(own))
    write(tmp_path / "elsewhere", tensors, about | {"fingerprint": "0" * 16})
    for reference in (other, str(tmp_path / "elsewhere")):
        says = (
            f"error: {reference} was trained on other images, or on images of another size; name a reference"
        )
        assert command("trainables.faithfulness", own, "--reference", reference) == (
            2,
            "",
            f"{says} trained on the same\n",
        )


@pytest.fixture(scope="module")
def examined(trained: tuple[Path, dict[str, float]]) -> Examination:
    """What is found about a trained checkpoint without a reference."""
    return examine(trained[0] / layout.CHECKPOINT_FILE)


def test_the_faithfulness_is_that_which_the_run_recorded(
    examined: Examination, trained: tuple[Path, dict[str, float]]
) -> None:
    recorded = {name: value for name, value in trained[1].items() if name.startswith("faithfulness")}
    assert len(recorded) > 3
    assert recorded.items() <= examined.metrics.items()


def test_the_sanity_check_forgets_every_layer_and_judges_the_last(examined: Examination) -> None:
    names = [name for name in examined.metrics if name.startswith("sanity.")]
    assert names == [f"sanity.{layer}" for layer in reversed(layer_names("paper_cnn"))]
    assert examined.metrics["sanity_spearman"] == examined.metrics[names[-1]]
    assert examined.metrics["sanity_passed"] == (examined.metrics[names[-1]] < LIMIT)


def test_the_copy_of_f_fidelity_has_learned_and_takes_most_images_for_the_same_class(
    examined: Examination,
) -> None:
    """A copy that trains inside `extra_pass` keeps its first weights, and ends as a constant predictor."""
    assert examined.metrics["f_fidelity_images"] > 0.7 * examined.metrics["faithfulness_images"]
    assert examined.metrics["f_fidelity_se"] > 0


def test_without_a_reference_there_is_no_agreement(examined: Examination) -> None:
    assert not {"spearman", "top_iou", "ssim"} & examined.metrics.keys()


def test_robustness_is_measured_in_its_range(examined: Examination) -> None:
    assert examined.metrics["infidelity"] >= 0
    assert 0 < examined.metrics["infidelity_share"] <= 1
    assert examined.metrics["max_sensitivity"] > 0


def test_what_is_written_is_what_was_found(examined: Examination, tmp_path: Path) -> None:
    examined.write(tmp_path / "new" / "folder")
    assert sorted(p.name for p in (tmp_path / "new" / "folder").iterdir()) == [
        "SHA256SUMS",
        "faithfulness.json",
        "removal.csv",
    ]
    assert json.loads((tmp_path / "new/folder/faithfulness.json").read_text()) == examined.metrics
    again = pd.read_csv(tmp_path / "new/folder/removal.csv")
    assert list(again) == ["removal", "order", "fraction", "kept", "probability", "accuracy"]
    np.testing.assert_allclose(again["kept"], examined.curves["kept"])


def test_a_reference_of_another_data_set_is_rejected(
    trained: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    own = trained[0] / layout.CHECKPOINT_FILE
    tensors, about = read(own)
    about["config"]["dataset"] = "mnist"
    write(tmp_path / "other", tensors, about)
    with pytest.raises(UserError, match="was trained on mnist; name a reference for fashion_mnist_small"):
        examine(own, reference=tmp_path / "other")
