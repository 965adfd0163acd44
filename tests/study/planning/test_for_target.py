"""A launch for a device searches only what the device takes, and says in one line what it cannot search."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study.store.request import Request
from study_common.errors import StudyWarning, UserError

RequestOf = Callable[..., Request]


def test_every_configuration_of_the_default_space_can_be_deployed(request_of: RequestOf) -> None:
    request = request_of(target="npu_w4a8")
    widths = {name: domain.finite() for name, domain in request.space.parameters.items() if "bits" in name}
    assert widths == {f"{kind}.{layer}": (4, 8) for kind, layer in (
        ("bits", "conv1"), ("w_bits", "conv2"), ("w_bits", "fc1"), ("w_bits", "fc2"))}  # fmt: skip
    assert request.fixed["a_bits.fc2"] == 8
    assert request.fixed["weight_quantiser"] == "lsq_integer"
    assert len(request.queue) == 2  # the least and the greatest widths; no float model
    for point in request.queue:
        config = request.config(point)
        assert set(config.w_bits.values()) <= {4, 8}
        assert set(config.a_bits.values()) == {8}
    assert Request.from_document(request.document()) == request
    assert request.document()["target"] == "npu_w4a8"


def test_without_a_target_the_float_model_is_tried(request_of: RequestOf) -> None:
    assert len(request_of().queue) == 3


def test_points_that_the_device_does_not_take_are_left_out(request_of: RequestOf, tmp_path: Path) -> None:
    space = tmp_path / "listed.toml"
    space.write_text("".join(f"[[points]]\nbits = {bits}\nlambda1 = 1.0\n" for bits in (2, 4, 8)))
    with pytest.warns(StudyWarning, match="does not take 2 of the 3 points of space listed"):
        request = request_of(
            space=str(space), target="onnxruntime_cpu", objectives="accuracy:max,faithfulness:max"
        )
    assert [point["bits"] for point in request.space.points] == [8]


def test_a_users_own_target_is_used(
    request_of: RequestOf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.toml").write_text("weights = [2, 3]\nactivations = [2, 3]\n")
    monkeypatch.chdir(tmp_path)
    request = request_of(target="mine.toml")
    assert request.target == str(tmp_path / "mine.toml")  # from which the export command reads it anywhere
    assert request.space.parameters["bits.fc1"].finite() == (2, 3)


@pytest.mark.parametrize(
    ("document", "options", "message"),
    [
        (
            '[bits]\nlayers = "*"\nvalues = [2, 3]\n', {},
            "target npu_w4a8 takes weights of 4 or 8 bits, and bits.conv1 is 2 or 3; add one of those to the space",
        ),
        (
            '[w_bits]\nlayers = ["conv*", "fc1"]\nvalues = [4, 8]\n', {"fixed": {"a_bits": 8}},
            "target npu_w4a8 takes 4 or 8 for w_bits.fc2, and not 32; give it one of those",
        ),
        ("[[points]]\nbits = 2\n[[points]]\nbits = 4\n", {}, "takes 4 or 8 for w_bits.conv1, and not 2"),
        (
            '[bits]\nlayers = "*"\nvalues = [4, 8]\n', {"fixed": {"weight_quantiser": "affine"}},
            "needs weight_quantiser=lsq_integer; leave --set weight_quantiser=affine out",
        ),
        ('[bits]\nlayers = "*"\nvalues = [8]\n', {}, "leaves nothing to search; give the space more than widths"),
        (
            '[parameters]\nweight_quantiser = { type = "choice", values = ["lsq", "affine"] }\n[bits]\nlayers = "*"\n'
            "values = [8]\n", {}, "leaves nothing to search",
        ),
    ],
)  # fmt: skip
def test_a_space_that_the_device_forbids_is_refused(
    request_of: RequestOf, tmp_path: Path, document: str, options: dict[str, object], message: str
) -> None:
    (tmp_path / "mine.toml").write_text(document)
    with pytest.raises(UserError) as info:
        request_of(space=str(tmp_path / "mine.toml"), target="npu_w4a8", **options)
    assert message in str(info.value)
