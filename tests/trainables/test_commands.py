"""The commands as they are typed: bad input ends in one line and exit code 2, before anything is trained."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from study_common import layout
from tests.conftest import Command
from trainables.data import load
from trainables.data.image_folder import GIVE_IT
from trainables.training.config import Config
from trainables.training.run import epochs


def test_a_run_is_saved_continued_and_not_trained_over(
    command: Command, settings: dict[str, object], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    given = {**settings, "epochs": 3}
    words = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    next(epochs(Config.parse(given))).save(out)
    code, printed, error = command("trainables.train", *words, "--out", str(out))
    assert (code, error) == (0, "")
    assert [line.split()[1] for line in printed.splitlines()[:-1]] == ["2", "3"]
    assert json.loads(printed.splitlines()[-1])["accuracy"] <= 1
    again = command("trainables.train", *words, "--out", str(out))
    assert again == (2, "", f"error: the run in {out} is complete; give another --out\n")
    other = command("trainables.train", *words, "--set", "lambda1=2", "--out", str(out))
    assert other == (2, "", f"error: {out} holds a run of other settings (lambda1); give another --out\n")


def no_resume_file_yet(out: Path) -> None:
    (out / layout.RESUME_FILE).unlink()


def between_the_renames(out: Path) -> None:
    (out / layout.RESUME_FILE).replace(out / layout.PREVIOUS_FILE)


def no_curve_yet(out: Path) -> None:
    (out / layout.CURVE_FILE).unlink()


@pytest.mark.parametrize(
    ("number", "cut"), [(2, no_resume_file_yet), (2, between_the_renames), (1, no_curve_yet)]
)
def test_a_run_is_continued_wherever_its_first_save_was_cut(
    number: int, cut: Callable[[Path], None], command: Command, settings: dict[str, object], tmp_path: Path
) -> None:
    given = {**settings, "epochs": number}
    next(epochs(Config.parse(given))).save(tmp_path)
    cut(tmp_path)
    words = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    code, printed, error = command("trainables.train", *words, "--out", str(tmp_path))
    assert (code, error) == (0, "")
    assert printed.splitlines()[-2].startswith(f"epoch {number}")
    assert command("trainables.train", *words, "--out", str(tmp_path))[0] == 2


def test_a_checkpoint_does_not_meet_other_images(
    command: Command, settings: dict[str, object], tmp_path: Path
) -> None:
    folder, out = shutil.copytree(str(settings["data_dir"]), tmp_path / "images"), tmp_path / "out"
    given = {**settings, "data_dir": str(folder), "epochs": 2}
    next(epochs(Config.parse(given))).save(out)
    (folder / "plain").rename(folder / "a new first class")
    load.cache_clear()
    words = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    for typed, file in (
        (["train", *words, "--out", str(out)], layout.RESUME_FILE),
        (["evaluate", str(out / layout.CHECKPOINT_FILE)], layout.CHECKPOINT_FILE),
        (["faithfulness", str(out / layout.CHECKPOINT_FILE)], layout.CHECKPOINT_FILE),
    ):
        says = f"error: {out / file} was trained on other images than {folder} holds now; restore them\n"
        assert command(f"trainables.{typed[0]}", *typed[1:]) == (2, "", says)


def test_places_are_those_where_the_run_began(
    command: Command, settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative place was sought where the next command was typed, and ~ in a setting was a folder of that name."""
    monkeypatch.setenv("HOME", str(tmp_path))
    pictures = Path(str(settings["data_dir"]))
    rows = [f"{path.relative_to(pictures)},{path.parent.name}" for path in sorted(pictures.rglob("*.png"))]
    (tmp_path / "labels.csv").write_text("\n".join(["path,class", *rows]))
    (tmp_path / "set").symlink_to(pictures)
    monkeypatch.chdir(tmp_path)
    given = {**settings, "dataset": "csv", "data_dir": "~/set", "labels": "labels.csv", "epochs": 0}
    words = [word for name, value in given.items() for word in ("--set", f"{name}={value}")]
    assert command("trainables.train", *words, "--out", "out")[0] == 0
    monkeypatch.chdir("/")
    load.cache_clear()
    assert command("trainables.evaluate", str(tmp_path / "out" / layout.CHECKPOINT_FILE))[0] == 0


def test_images_that_moved_are_found(
    command: Command, settings: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(str(settings["data_dir"]), "images")
    words = [
        word
        for name, value in (settings | {"data_dir": "images", "epochs": 1}).items()
        for word in ("--set", f"{name}={value}")
    ]
    assert command("trainables.train", *words, "--out", "out")[0] == 0
    Path("images").rename("moved")
    load.cache_clear()
    for name in ("evaluate", "faithfulness"):
        code, _, error = command(f"trainables.{name}", f"out/{layout.CHECKPOINT_FILE}")
        assert (code, error) == (2, f"error: no such folder: {tmp_path}/images; {GIVE_IT}\n")
        assert command(f"trainables.{name}", f"out/{layout.CHECKPOINT_FILE}", "--data-dir", "moved")[0] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("train --set lambda1", "'lambda1' is not key=value"),
        ("train --set lamda1=1", "'lambda1'"),
        ("train --set bits=5", "2, 3, 4, 6, 8, 32"),
        ("train --set init=NOWHERE", "no checkpoint at NOWHERE"),
        ("train --epochs 3", "unrecognized arguments: --epochs 3; see python -m trainables.train --help"),
        ("train --out FILE", "FILE is a file; name a folder"),
        ("train --out FILE/deeper", "FILE is a file; name a folder"),
        ("evaluate", "required: checkpoint"),
        ("evaluate NOWHERE", "no checkpoint at NOWHERE"),
        ("faithfulness NOWHERE", "no checkpoint at NOWHERE"),
        ("faithfulness FILE --out FILE", "FILE is a file; name a folder"),
        ("export FILE", "required: --out"),
        ("export FILE --out FILE", "FILE is a file; name a folder"),
    ],
)
def test_bad_input_is_one_line(words: str, says: str, command: Command, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code, out, error = command(*f"trainables.{words}".replace("FILE", str(file)).split())
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert error.startswith("error: ")
    assert says.replace("FILE", str(file)) in error
