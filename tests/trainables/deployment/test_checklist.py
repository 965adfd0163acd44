"""The checklist says what training and export then do."""

import re

import pytest

from study_common.errors import UserError
from trainables.deployment.checklist import inspect_model

NETS = "tests.trainables.models.nets:"


def test_a_network_of_a_user_by_hand() -> None:
    found = inspect_model(f"{NETS}ManyNorms", 3, 16, 3)
    assert [layer.name for layer in found.layers] == ["conv1", "conv2", "fc1", "fc2", "conv3"]
    assert found.norms == {"conv1": "bn1"}
    assert found.floats == {"BatchNorm2d": 3, "BatchNorm1d": 1}
    assert not found.products
    assert not found.graph
    assert not any(found.attributions.values())
    assert not found.twice
    assert found.sums()["onnx"] is True


@pytest.mark.parametrize(
    ("net", "what"),
    [("Reflecting", r"conv2 \(padding \(1, 1\), reflect\)"), ("LayerNormed", r"norm \(LayerNorm2d\)")],
)
def test_what_has_no_form_in_a_graph_is_named_before_any_training(net: str, what: str) -> None:
    found = inspect_model(f"{NETS}{net}", 3, 16, 3)
    (line,) = (line for line in found.lines() if line.startswith("export onnx, lowbit, qonnx: no, "))
    assert re.search(f"{what}.* has no form in an exported graph; .* or export packed", line)
    assert found.sums()["onnx"] is False


def test_attention_is_not_counted_and_needs_no_graph() -> None:
    found = inspect_model("timm/test_vit", 3, 48, 3)
    assert found.products == ("scaled_dot_product_attention",)
    assert "not counted in costs: products of activations by scaled_dot_product_attention" in found.lines()
    assert found.graph


def test_what_cannot_be_differentiated_again_or_seen_is_said() -> None:
    assert "at act (Once)" in inspect_model(f"{NETS}HardSigmoidCall", 3, 16, 3).twice
    assert "choose another attribution" in inspect_model(f"{NETS}OnePixel", 3, 16, 3).attributions["grad_cam"]


def test_a_model_that_cannot_be_trained_has_no_checklist() -> None:
    with pytest.raises(UserError, match="share one weight"):
        inspect_model(f"{NETS}SharedWeight", 3, 16, 3)
