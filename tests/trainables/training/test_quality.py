"""The metrics against their definitions, counted image by image."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainables.training.quality import confusion, quality


def area(scores: list[float], positive: list[bool]) -> float:
    """The share of pairs of a positive and a negative that the scores order right; a tie counts half."""
    hits = [score for score, yes in zip(scores, positive, strict=True) if yes]
    misses = [score for score, yes in zip(scores, positive, strict=True) if not yes]
    return sum((p > n) + 0.5 * (p == n) for p in hits for n in misses) / (len(hits) * len(misses))


@given(
    n=st.integers(1, 20), classes=st.integers(2, 5), levels=st.integers(2, 30), seed=st.integers(0, 2**31 - 1)
)
def test_every_metric_is_what_its_definition_counts(n: int, classes: int, levels: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randint(levels, (n + classes, classes), generator=generator) / 4
    labels = torch.cat([torch.arange(classes), torch.randint(classes, (n,), generator=generator)])
    found = quality(logits, labels)
    named = logits.argmax(1)
    of_class = [(labels == c, named == c) for c in range(classes)]
    recalls = [((y & p).sum() / y.sum()).item() for y, p in of_class]
    specificities = [((~y & ~p).sum() / (~y).sum()).item() for y, p in of_class]
    scores = logits.double().softmax(1)
    areas = [area(scores[:, c].tolist(), (labels == c).tolist()) for c in range(classes)]
    assert found["accuracy"] == pytest.approx((labels == named).double().mean().item())
    assert found["sensitivity"] == pytest.approx(sum(recalls) / classes, rel=1e-5)
    assert found["specificity"] == pytest.approx(sum(specificities) / classes, rel=1e-5)
    assert found["auroc"] == pytest.approx(sum(areas) / classes, rel=1e-5)
    for c in range(classes):
        its_own = quality(logits, labels, positive=c)
        assert its_own["sensitivity"] == pytest.approx(recalls[c], rel=1e-5)
        assert its_own["specificity"] == pytest.approx(specificities[c], rel=1e-5)
        assert its_own["auroc"] == found["auroc"]
    expected = [[int((y & (named == c)).sum()) for c in range(classes)] for y, _ in of_class]
    assert confusion(logits, labels).tolist() == expected


def test_a_perfect_model_and_a_blind_one() -> None:
    labels = torch.arange(30) % 3
    perfect, blind = quality(10 * torch.eye(3)[labels], labels), quality(torch.zeros(30, 3), labels)
    assert [perfect[name] for name in ("accuracy", "sensitivity", "specificity", "auroc")] == [1.0] * 4
    assert [blind[name] for name in ("sensitivity", "auroc")] == [pytest.approx(1 / 3), 0.5]
    assert blind["accuracy"] == pytest.approx(1 / 3)
    assert perfect["accuracy_se"] == 0.0
