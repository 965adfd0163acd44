"""A data set of little pictures in class folders: real files, and an epoch in a tenth of a second."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from trainables.training.process import prepare_process

prepare_process()


@pytest.fixture(scope="session")
def stripes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three classes of 40 noisy pictures of 16x16: horizontal stripes, vertical ones, none."""
    root = tmp_path_factory.mktemp("stripes")
    generator = np.random.default_rng(0)
    wave = (np.arange(16) // 2 % 2)[None, :, None] * 120
    for name, pattern in {
        "across": wave.transpose(1, 0, 2),
        "down": wave,
        "plain": np.full((1, 1, 1), 60),
    }.items():
        (root / name).mkdir()
        for number in range(40):
            picture = pattern + generator.integers(0, 120, (16, 16, 3))
            Image.fromarray(picture.astype(np.uint8)).save(root / name / f"{number}.png")
    return root


@pytest.fixture
def settings(stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """A run on the stripes, as flat names."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return {
        "dataset": "folder", "data_dir": str(stripes), "image_size": 16, "batch_size": 16, "epochs": 4, "lr": 3e-3,
        "bits": 4,
    }  # fmt: skip
