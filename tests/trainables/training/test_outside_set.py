"""Images that a run did not know: all of them are measured, as an outside test set of the same classes."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study_common import layout
from study_common.errors import UserError
from trainables.training.config import Config
from trainables.training.outside_set import outside_metrics
from trainables.training.run import epochs


@pytest.fixture
def other(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stripes one level brighter, ten of each class; five of `down` are plain, so that its recall is a half."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("across", "down", "plain"):
        folder = tmp_path / "other" / "test" / name
        folder.mkdir(parents=True)
        for number in range(10):
            source = "plain" if name == "down" and number < 5 else name
            picture = np.asarray(
                Image.open(stripes / source / f"{number + (10 if source != name else 20)}.png")
            )
            Image.fromarray(picture + 1).save(folder / f"{number}.png")
    return tmp_path / "other" / "test"


def test_all_images_are_measured_and_labelled(striped: Path, other: Path) -> None:
    found = outside_metrics(striped / layout.CHECKPOINT_FILE, str(other))
    assert found is not None
    assert found["split"] == "outside"
    assert (found["images"], found["left_out"]) == (30, 0)
    assert found["recall"] == {"across": 1.0, "down": 0.5, "plain": 1.0}
    assert found["accuracy"] == pytest.approx(25 / 30)
    assert found["sensitivity"] == pytest.approx(2.5 / 3)


def test_the_same_from_a_list_of_paths(striped: Path, other: Path) -> None:
    rows = ["path;class", *(f"{p.relative_to(other)};{p.parent.name}" for p in sorted(other.rglob("*.png")))]
    (other.parent / "labels.csv").write_text("\n".join(rows))
    found = outside_metrics(striped / layout.CHECKPOINT_FILE, str(other), str(other.parent / "labels.csv"))
    assert found == outside_metrics(striped / layout.CHECKPOINT_FILE, str(other))


def test_the_images_of_the_run_elsewhere_are_not_outside(
    striped: Path, stripes: Path, tmp_path: Path
) -> None:
    shutil.copytree(stripes, tmp_path / "moved")
    assert outside_metrics(striped / layout.CHECKPOINT_FILE, str(tmp_path / "moved")) is None


def test_images_of_the_run_are_left_out_and_counted(striped: Path, stripes: Path, other: Path) -> None:
    alone = outside_metrics(striped / layout.CHECKPOINT_FILE, str(other))
    for name in ("across", "down", "plain"):
        shutil.copy(stripes / name / "7.png", other / name / "known.png")
    found = outside_metrics(striped / layout.CHECKPOINT_FILE, str(other))
    assert found == alone | {"left_out": 3}


def test_a_part_of_the_runs_folder_is_no_outside_set(striped: Path, stripes: Path, tmp_path: Path) -> None:
    """A published test part was said to be images that the run did not know."""
    for name in ("across", "down", "plain"):
        (tmp_path / "part" / name).mkdir(parents=True)
        shutil.copy(stripes / name / "7.png", tmp_path / "part" / name)
    with pytest.raises(
        UserError, match="of the class across it holds only images of the run; give others, or"
    ):
        outside_metrics(striped / layout.CHECKPOINT_FILE, str(tmp_path / "part"))


def test_without_the_runs_images_nobody_knows_which_it_had(other: Path, listed: Path) -> None:
    """Nor does its file of labels say what others are, though they have the same names."""
    assert outside_metrics(listed / layout.CHECKPOINT_FILE, str(other))["left_out"] == 0
    (listed / "labels.csv").unlink()
    found = outside_metrics(listed / layout.CHECKPOINT_FILE, str(other))
    assert (found["images"], found["left_out"]) == (30, None)
    shutil.rmtree(other / "down")
    shutil.rmtree(other / "plain")
    with pytest.raises(
        UserError, match=r"it has only one, across; or list the images .* \(--labels FILE.csv\)"
    ):
        outside_metrics(listed / layout.CHECKPOINT_FILE, str(other))


@pytest.fixture
def listed(stripes: Path, tmp_path: Path, other: Path) -> Path:
    """The directory of a run on the stripes by a file of labels."""
    rows = [
        "path,class",
        *(f"{p.relative_to(stripes)},{p.parent.name}" for p in sorted(stripes.rglob("*.png"))),
    ]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    given = {
        "dataset": "csv", "data_dir": str(stripes), "labels": str(tmp_path / "labels.csv"), "image_size": 16,
        "epochs": 0, "batch_size": 16, "bits": 4,
    }  # fmt: skip
    next(epochs(Config.parse(given))).save(tmp_path)
    return tmp_path


def one_class_less(other: Path) -> str:
    shutil.rmtree(other / "down")
    return "the model knows the class down; give images of across, down, plain"


def another_class(other: Path) -> str:
    shutil.copytree(other / "down", other / "diagonal")
    for file in (other / "diagonal").iterdir():
        Image.open(file).rotate(45).save(file)
    return "the model does not know the class diagonal"


def damaged(other: Path) -> str:
    (other / "down" / "0.png").write_text("no picture")
    return r"0.png cannot be used"


@pytest.mark.parametrize("change", [one_class_less, another_class, damaged])
def test_what_is_no_test_set_of_the_model_is_refused(
    change: Callable[[Path], str], striped: Path, other: Path
) -> None:
    says = change(other)
    with pytest.raises(UserError, match=says):
        outside_metrics(striped / layout.CHECKPOINT_FILE, str(other))


def test_a_run_on_packaged_images_has_no_outside_set(trained: tuple[Path, object], other: Path) -> None:
    assert outside_metrics(trained[0] / layout.CHECKPOINT_FILE, str(other)) is None
