"""Agreement of saliency maps against numpy and scipy."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

from trainables.audit.agreement import TOP, agreement, rank_correlation


def drawn(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def test_agreement_of_a_map_with_itself_and_with_others():
    maps = drawn(4, 28, 28)
    assert agreement(maps, maps) == pytest.approx({"spearman": 1, "top_iou": 1, "ssim": 1}, abs=1e-5)
    others = drawn(4, 28, 28, seed=1)
    found = agreement(maps, others)
    top = [[set(np.argsort(-m.numpy(), axis=None)[: round(TOP * 784)]) for m in ms] for ms in (maps, others)]
    assert found["top_iou"] == pytest.approx(
        np.mean([len(a & b) / len(a | b) for a, b in zip(*top, strict=True)])
    )
    expected = [spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(maps, others, strict=True)]
    assert found["spearman"] == pytest.approx(np.mean(expected), abs=1e-4)
    assert abs(found["ssim"]) < 0.1


def test_rank_correlation_with_equal_values_and_constants():
    coarse = (drawn(3, 12, 12) * 4).round()
    others = drawn(3, 12, 12, seed=1) + coarse / 10
    coarse[2] = 5.0
    expected = [
        spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(coarse[:2], others, strict=False)
    ]
    assert rank_correlation(coarse, others).tolist() == pytest.approx([*expected, 0.0], abs=1e-4)
