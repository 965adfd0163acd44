"""The metrics against torchmetrics, bit for bit, on scores with ties and classes without images or never named."""

import warnings
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torchmetrics.functional import classification

from trainables.training.quality import confusion, quality

ORACLES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "sensitivity": lambda o, y, c: classification.multiclass_recall(o, y, c, average="macro"),
    "specificity": lambda o, y, c: classification.multiclass_specificity(o, y, c, average="macro"),
    "auroc": lambda o, y, c: classification.multiclass_auroc(o.double().softmax(1), y, c),
}


@given(
    n=st.integers(1, 60), classes=st.integers(2, 7), levels=st.integers(1, 30), seed=st.integers(0, 2**31 - 1)
)
def test_every_metric_is_torchmetrics_own(n: int, classes: int, levels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(levels, (n, classes), generator=generator) / 4
    labels = torch.randint(classes, (n,), generator=generator)
    found = quality(logits, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of a class without images
        for name, oracle in ORACLES.items():
            expected = oracle(logits, labels, classes).item()
            whole = len(labels.unique()) == classes  # without, torchmetrics' AUROC is float64
            assert found[name] == (expected if whole else pytest.approx(expected, rel=1e-6)), name
    assert confusion(logits, labels).equal(
        classification.multiclass_confusion_matrix(logits, labels, classes)
    )


def test_a_perfect_model_and_a_blind_one() -> None:
    labels = torch.arange(30) % 3
    perfect, blind = quality(10 * torch.eye(3)[labels], labels), quality(torch.zeros(30, 3), labels)
    assert [perfect[name] for name in ("accuracy", "sensitivity", "specificity", "auroc")] == [1.0] * 4
    assert [blind[name] for name in ("sensitivity", "auroc")] == [pytest.approx(1 / 3), 0.5]
    assert blind["accuracy"] == pytest.approx(1 / 3)
    assert perfect["accuracy_se"] == 0.0
