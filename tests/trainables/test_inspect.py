"""`python -m trainables.inspect` as it is typed."""

import json

import pytest

from tests.conftest import Command


def test_a_checklist_and_its_sums(command: Command) -> None:
    code, printed, error = command(
        "trainables.inspect", "--model", "small_cnn", "--size", "64", "--classes", "8"
    )
    assert (code, error) == (0, "")
    *lines, last = printed.splitlines()
    assert json.loads(last)["macs"] == 15_926_272
    assert "quantised: 5 layers; the input of conv1 is the 8-bit image" in lines
    assert "export onnx, lowbit, qonnx: yes" in lines


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--model", "smal_cnn"], "nearest is 'small_cnn'"),
        (["--model", "nowhere:make"], "no module nowhere"),
        (
            ["--model", "tests.trainables.models.nets:CalledTwice", "--size", "16"],
            "calls its layer conv2 2 times",
        ),
        (["--model", "resnet18", "--channels", "1"], "takes images in colour"),
        (["--model", "small_cnn", "--size", "0"], "'0' is not a whole number above 0"),
        (["--model", "small_cnn", "--size", "1000000"], "--size is 1000000; it must be at most 1024"),
        (["--model", "small_cnn", "--classes", "1000000000"], "--classes is 1000000000; it must be at most"),
        (["--model", "small_cnn", "--channels", "1000000"], "--channels is 1000000; it must be at most 3"),
        (["--model", "small_cnn", "--size", "1" * 5000], "is not a whole number above 0"),
        ([], "--model"),
    ],
)
def test_a_model_that_cannot_be_trained_is_one_line(words: list[str], says: str, command: Command) -> None:
    code, printed, error = command("trainables.inspect", *words)
    assert (code, printed) == (2, "")
    assert len(error.splitlines()) == 1
    assert says in error
