"""Small real data: pictures in class folders, an epoch in a tenth of a second; and a model of a few training steps."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from trainables.data import batches
from trainables.training.config import Config
from trainables.training.process import prepare_process
from trainables.training.run import Run, epochs

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


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """The directory of a finished run, 8 steps of the paper's CNN at 4 bits, and the metrics that it recorded."""
    run = Run(Config.parse({"bits": 4, "epochs": 1, "precision": "float32"}))
    generator = torch.manual_seed(0)
    for _, (images, labels) in zip(range(8), batches(run.data.train, 64, generator), strict=False):
        run.step(run.scale(images), labels, run.scale.fill("uniform", generator))
    recorded = run.measure(1)
    run.finish(1, 0.0, recorded)
    directory = tmp_path_factory.mktemp("trained")
    run.save(1, directory)
    return directory, recorded


@pytest.fixture(scope="session")
def striped(stripes: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a finished run on the stripes, which it tells apart."""
    directory = tmp_path_factory.mktemp("striped")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(directory / "cache"))
        given = {
            "dataset": "folder",
            "data_dir": str(stripes),
            "image_size": 16,
            "batch_size": 16,
            "augment": "false",
        }
        for epoch in epochs(Config.parse(given | {"bits": 4, "epochs": 3, "lr": 3e-3})):
            epoch.save(directory)
        assert epoch.metrics["accuracy"] == 1
    return directory
