"""What a user types wrongly: one line that names the remedy, exit code 2, nothing written. No Ray gets to start."""

import os
import shlex
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

import results
from study.execution.searcher import Searcher
from study.execution.worker import Report
from study.store import database
from study.store import directory as directories
from study.store.record import Record
from study.store.request import Request
from study_common.errors import UserError
from study_common.layout import RECORD_FILE, REQUEST_FILE
from tests.conftest import Command
from tests.study.toys import metrics_of
from trainables.data.dataset import load

RequestOf = Callable[..., Request]


BAD = {
    "--space mixed_bit": "mixed_bits",
    "--space nowhere.toml": "cannot read",
    "--space mixed_bits --dataset fashon_mnist": "fashion_mnist",
    "--space mixed_bits --model paper_cn": "paper_cnn",
    "--space mixed_bits --preset bset": "best",
    "--space mixed_bits --sampler tpa": "tpe",
    "--space mixed_bits --scheduler asha": "pareto_asha",
    "--space mixed_bits --objectives acuracy:max,flops:min": "accuracy",
    "--space mixed_bits --objectives accuracy:min,flops:min": "accuracy:max",
    "--space mixed_bits --objectives accuracy:max": "at least two",
    "--space mixed_bits --objectives accuracy:max,accuracy:max": "twice",
    "--space mixed_bits --trials 0": "above 0",
    "--space mixed_bits --trials -3": "above 0",
    "--space mixed_bits --trials many": "--help",
    "--space mixed_bits --epochs 0": "above 0",
    "--space mixed_bits --workers 0": "above 0",
    "--space mixed_bits --workers -1": "above 0",
    "--space mixed_bits --max-bops 0": "above 0",
    "--space mixed_bits --max-size -1": "above 0",
    "--space mixed_bits --max-bops 1": "50,306,048",
    "--space mixed_bits --seed -1": "--seed",
    "--space mixed_bits --set refit=true": "refit",
    "--space mixed_bits --set lambda1=[1]": "lambda1",
    "--space mixed_bits --set lambda1=true": "lambda1 is True; it takes float values",
    "--space mixed_bits --objectives ,": "an objective has no name",
    "--space mixed_bits --set batch_size=100000": "5000 training images",
    "--space mixed_bits --set batch_size=1 --model small_cnn": "BatchNorm, which needs two images",
    "--space mixed_bits --set batch_size=1 --model small_cnn --dry-run": "BatchNorm, which needs two images",
    "--space mixed_bits --model resnet18": "colour",
    "--space mixed_bits --time-budget soon": "30m",
    "--space mixed_bits --time-budget 0": "above 0",
    "--space mixed_bits --gpus-per-trial -1": "0 to 1",
    "--space mixed_bits --gpus-per-trial 1.5": "a whole number",
    "--space mixed_bits --reduction-factor 1": "at least 2",
    "--space mixed_bits --init floats": "float",
    "--space mixed_bits --name ../out": "letters, digits",
    "--space mixed_bits --name a/b": "letters, digits",
    "--space mixed_bits --name ..": "letters, digits",
    "--space mixed_bits --storage redis://here": "postgresql",
    "--space mixed_bits --storage nonsense": "postgresql://",
    "--space mixed_bits --storage postgresql+pg8000://me:secret@db/studies": "pip install pg8000",
    "--space mixed_bits --storage postgresql+pgsql://me@db/studies": "leave the driver out",
    "--space mixed_bits --set lambda1": "key=value",
    "--space mixed_bits --set lamda1=1": "lambda1",
    "--space mixed_bits --weights /nowhere.pth": "there are no pretrained weights for paper_cnn",
    "--space mixed_bits --model resnet18 --set pretrained=/nowhere.pth": "--weights",
    "--space mixed_bits --set epochs=3": "--epochs",
    "--space mixed_bits --set init=/nowhere": "init has a flag of its own, --init",
    "--space mixed_bits --set bits.conv9=4": "conv1",
    "--space mixed_bits --set a_bits.conv1=4": "the input of the first layer, conv1, is the 8-bit image",
    "--space mixed_bits --set bits=5": "bit-width",
    "--space mixed_bits --sampler grid": "choice",
    "--space saliency --objectives accuracy:max,flops:min": "flops cannot vary in space saliency",
    "--space mixed_bits --warm-start nothing": "no study",
    "--space mixed_bits --dataset mnist --data-dir NOWHERE": "NOWHERE",
    "--space mixed_bits --dataset kvasir": "--data-dir",
    "--space mixed_bits --data-dir /tmp": "leave data_dir out",
    "--space /tmp": "is a folder",
    "--spase mixed_bits": "--space",
    "": "--space",
}


@pytest.mark.parametrize("words", BAD)
def test_bad_input_is_one_line_and_nothing_is_written(words: str, command: Command, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    code, out, error = command("study.launch", *words.split(), "--runs-dir", str(runs))
    assert code == 2
    assert out == ""
    assert len(error.strip().splitlines()) == 1, error
    assert error.startswith("error: ")
    assert BAD[words] in error
    assert not runs.exists()


SPACES = {
    "lambda1 = { type = 'float', low = 0.1, high = 1.0, when = { msk = ['ratio'] } }": "the nearest is 'mask'",
    "pretrained = { type = 'choice', values = ['a.pth', 'b.pth'] }": "--weights",
    "attribution = { type = 'choice', values = ['gradient', 'grad_cam'] }": "--set attribution=",
    "seed = { type = 'int', low = 0, high = 3 }": "--seed",
    "lambda_1 = { type = 'float', low = 0.1, high = 1.0 }": "lambda1",
    "lambda1 = { type = 'float', low = 2.0, high = 1.0 }": "swap",
    "lambda1 = { type = 'float', low = 0.0, high = 1.0, log = true }": "log range",
    "lambda1 = { typ = 'float', low = 0.1, high = 1.0 }": "type",
    "mask_ratio = { type = 'float', low = 0.5, high = 1.5 }": "mask_ratio",
    "epochs = { type = 'int', low = 1, high = 3 }": "--epochs",
    "'bits.conv9' = { type = 'choice', values = [2, 4] }": "conv1",
    "'bits.conv1' = { type = 'choice', values = [2, 5] }": "bit-width",
}


@pytest.mark.parametrize("line", SPACES)
def test_a_bad_space_file_is_named(line: str, command: Command, tmp_path: Path) -> None:
    space = tmp_path / "mine.toml"
    space.write_text(f"[parameters]\n{line}\n")
    code, _, error = command("study.launch", "--space", str(space), "--runs-dir", str(tmp_path / "runs"))
    assert code == 2
    assert SPACES[line] in error
    assert len(error.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("name", ["dataset", "model", "preset", "data_dir", "epochs", "seed", "init"])
def test_a_space_leaves_alone_what_has_a_flag(name: str, command: Command, tmp_path: Path) -> None:
    space = tmp_path / "mine.toml"
    space.write_text(
        f"[parameters]\neta = {{ type = 'choice', values = [0.0, 1e-4] }}\n[fixed]\n{name} = 1\n"
    )
    code, _, error = command("study.launch", "--space", str(space), "--runs-dir", str(tmp_path / "runs"))
    assert (code, len(error.strip().splitlines())) == (2, 1)
    assert (
        f"space mine: {name} must be the same for all trials; set it with --{name.replace('_', '-')}" in error
    )


@pytest.mark.parametrize(
    ("was", "is_now", "says"),
    [
        ('sampler = "sms_ego"', 'sampler = "sms_eg"', "the nearest is 'sms_ego'"),
        ('scheduler = "', 'scheduler = "a', "unknown scheduler"),
        ("trials = ", "trials = 1.", "which is not of type int"),
        ("seed = ", "seed = true #", "seed is True, which is not of type int"),
        ('init = ""', 'init = "flaot"', "'float'"),
        ("[objectives.flops]", "[elsewhere.flops]", "is not what the study was launched with"),
        ("trials = 1", "trials = 9", "is not what the study was launched with"),
    ],
)
def test_an_edited_request_is_one_line(
    command: Command, request_of: RequestOf, tmp_path: Path, was: str, is_now: str, says: str
) -> None:
    request = request_of(name="s", trials=1)
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True):
        pass
    (directory / "trials" / "0").mkdir(parents=True)
    file = directory / "study.toml"
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, is_now, 1))
    for module in ("study.status", "study.resume", "results.report"):
        if module == "results.report" and "launched with" not in says:
            continue  # the analysis reads none of these
        code, _, error = command(module, "s", "--runs-dir", str(tmp_path))
        assert (code, len(error.strip().splitlines())) == (2, 1), error
        assert says in error


def test_a_request_that_is_cut_anywhere_is_no_traceback(request_of: RequestOf, tmp_path: Path) -> None:
    request = request_of(name="s", trials=1)
    directory = directories.create(request, str(tmp_path))
    Record.open(database.url_in(directory), "s", request.objectives, new=True).__exit__()
    lines = (directory / REQUEST_FILE).read_text().splitlines(keepends=True)
    for number in range(len(lines) - 1):
        (directory / REQUEST_FILE).write_text("".join(lines[:number]))
        for read in (results.load, Request.read):
            with suppress(ValueError):
                read(directory)


def test_a_complete_study_says_how_to_extend_it(
    command: Command, request_of: RequestOf, tmp_path: Path
) -> None:
    """Without Ray, and its report is written anew."""
    runs = tmp_path / "my runs"
    request = request_of(name="s", trials=1)
    directory = directories.create(request, str(runs))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        metrics = metrics_of(searcher.suggest("a")["job"].flat, 9)  # type: ignore[index]
        searcher.on_trial_complete("a", {"report": Report(epoch=9, seconds=1.0, metrics=metrics, last=True)})
    code, out, _ = command("study.resume", "s", "--runs-dir", str(runs))
    assert code == 0
    assert "study s is complete with 1 trials; --trials N runs more" in out
    assert (directory / "report.html").exists()
    assert shlex.split(directories.resume_command(directory))[3:] == ["s", "--runs-dir", str(runs)]


@pytest.mark.parametrize(
    ("given", "trials"), [({}, 5), ({"trials": 9}, 5), ({"trials": 5, "max_bops": 2e8}, 3)]
)
def test_a_study_that_tried_all_of_its_space_is_complete(
    given: dict[str, float], trials: int, command: Command, request_of: RequestOf, tmp_path: Path
) -> None:
    request = request_of(name="s", space="paper_table_ii", **given)
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        for name in "abcde"[:trials]:
            metrics = metrics_of(searcher.suggest(name)["job"].flat, 9)  # type: ignore[index]
            searcher.on_trial_complete(
                name, {"report": Report(epoch=9, seconds=1.0, metrics=metrics, last=True)}
            )
        assert searcher.suggest("f") == "FINISHED"
    out = command("study.status", "s", "--runs-dir", str(tmp_path))[1]
    assert f"s (complete): trials {trials}/{trials}" in out
    code, out, _ = command("study.resume", "s", "--runs-dir", str(tmp_path))
    assert code == 0
    assert f"study s is complete with {trials} trials; its space has no more" in out
    shutil.copytree(directory, tmp_path / "t")
    assert "t, a copy of s (complete)" in command("study.status", "t", "--runs-dir", str(tmp_path))[1]


def test_a_study_goes_on_with_its_own_images_only(
    command: Command, request_of: RequestOf, tmp_path: Path, stripes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    images = shutil.copytree(stripes, tmp_path / "images")
    size = {"image_size": 16, "batch_size": 16}
    request = request_of(name="s", trials=1, dataset="folder", data_dir=str(images), fixed=size)
    directory = directories.create(request, str(tmp_path))
    with Record.open(database.url_in(directory), "s", request.objectives, new=True) as record:
        searcher = Searcher(request, record, directory, token="")
        metrics = metrics_of(searcher.suggest("a")["job"].flat, 9)  # type: ignore[index]
        searcher.on_trial_complete("a", {"report": Report(epoch=9, seconds=1.0, metrics=metrics, last=True)})
    Image.open(images / "down" / "0.png").rotate(45).save(images / "down" / "more.png")
    load.cache_clear()  # the commands are processes of their own
    for words in (("study.resume", "s", "--trials", "2"), ("study.confirm", "s", "--trials", "0")):
        code, _, error = command(*words, "--runs-dir", str(tmp_path))
        assert code == 2
        assert error.strip() == (
            f"error: {images} does not hold the images with which the study began; restore what was there, or launch a "
            "new study"
        )
    assert command("study.resume", "s", "--runs-dir", str(tmp_path))[0] == 0, "a complete one needs no images"


@pytest.mark.parametrize("module", ["study.resume", "study.status"])
def test_a_study_that_is_not_there(module: str, command: Command, tmp_path: Path) -> None:
    code, _, error = command(module, "nothing", "--runs-dir", str(tmp_path))
    assert code == 2
    assert "no study 'nothing'" in error
    assert "python -m study.launch" in error


def test_a_resume_wants_a_positive_total(command: Command, tmp_path: Path) -> None:
    assert command("study.resume", "x", "--trials", "0", "--runs-dir", str(tmp_path))[0] == 2


def test_status_of_no_studies_says_how_to_start(command: Command, tmp_path: Path) -> None:
    code, out, _ = command("study.status", "--runs-dir", str(tmp_path))
    assert code == 0
    assert "study.launch" in out


def test_status_shows_the_others_beside_broken_studies(
    command: Command, request_of: RequestOf, tmp_path: Path
) -> None:
    for name in ("cut", "empty", "emptied", "whole"):
        request = replace(request_of(), name=name)
        directory = directories.create(request, str(tmp_path))
        (directory / "trials" / "0").mkdir(parents=True)
        Record.open(database.url_in(directory), name, request.objectives, new=True).__exit__()
    os.truncate(tmp_path / "cut" / RECORD_FILE, 50_000)
    os.truncate(tmp_path / "emptied" / RECORD_FILE, 0)
    os.truncate(tmp_path / "empty" / REQUEST_FILE, 0)
    code, out, error = command("study.status", "--runs-dir", str(tmp_path))
    assert code == 2
    assert out == "whole (interrupted): trials 0/15, front 0, hypervolume 0.0000\n"
    cut, emptied, empty = error.splitlines()
    assert cut.startswith("error: cut: ")
    assert "malformed); copy the study again" in cut
    assert emptied.startswith("error: emptied: ")
    assert "missing or empty though there are trials; copy the whole study" in emptied
    assert empty.startswith("error: empty: ")
    assert "it lacks 'format'); restore it from a copy" in empty
    with pytest.raises(UserError, match="lacks constraints, format, name, objectives; copy the study again"):
        results.load(tmp_path / "empty")
