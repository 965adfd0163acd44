"""Statistics of pixels, normalisation by them, and fills, against plain arithmetic."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.trainables.data.pictures import fresh, noise
from trainables.training.inputs import scale_of


def test_a_constant_channel_has_a_scale(tmp_path):
    for number, label in enumerate("ab" * 3):
        pixels = np.asarray(Image.open(noise(tmp_path / "set" / label / f"{number}.png", number))).copy()
        pixels[:, :, 1] = 77
        Image.fromarray(pixels).save(tmp_path / "set" / label / f"{number}.png")
    data = fresh("folder", tmp_path / "set")
    scaled = scale_of(data, torch.device("cpu"))(data.train.images)
    assert data.mean[1] == pytest.approx(77 / 255)
    assert scaled.isfinite().all()
    assert scaled[:, 1].abs().max() < 1e-6
