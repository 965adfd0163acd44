"""What a checkpoint says of single images is what its run measured of them."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from study_common import layout
from study_common.errors import UserError
from trainables.saliency.attribution import saliency_maps
from trainables.training.inputs import scale_of
from trainables.training.network import load_checkpoint
from trainables.training.prediction import CHUNK, OVERLAY_PIXELS, Predictor, image_paths


def test_probabilities_are_those_of_the_model_whatever_stands_beside_an_image(
    striped: Path, stripes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    paths = image_paths([stripes])
    assert len(paths) == 120 > CHUNK
    predictor = Predictor(striped / layout.CHECKPOINT_FILE)
    found = list(predictor.predict(paths))
    assert [one.path for one in found] == paths
    shares = np.stack([one.probabilities for one in found])
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    model, _, about = load_checkpoint(striped / layout.CHECKPOINT_FILE)
    mean, std = (torch.tensor(about[name]).view(1, -1, 1, 1) for name in ("mean", "std"))
    X = torch.from_numpy(np.stack([np.asarray(Image.open(path)).transpose(2, 0, 1) for path in paths]))
    with torch.no_grad():
        expected = model((X / 255 - mean) / std).softmax(1)
    np.testing.assert_allclose(shares, expected.numpy(), atol=1e-5)
    truth = [predictor.class_names.index(path.parent.name) for path in paths]
    assert (shares.argmax(1) == truth).mean() > 0.95


def test_an_overlay_is_red_where_the_map_is_high(striped: Path, stripes: Path) -> None:
    predictor = Predictor(striped / layout.CHECKPOINT_FILE)
    (found,) = predictor.predict([stripes / "down" / "0.png"], overlays=True)
    pixels = np.asarray(found.overlay, float)
    side = len(pixels)
    assert side >= OVERLAY_PIXELS
    small = pixels[:: side // 16, :: side // 16]
    picture = np.asarray(Image.open(stripes / "down" / "0.png"), float)
    model, _, _ = load_checkpoint(striped / layout.CHECKPOINT_FILE)
    X = predictor.scale(torch.from_numpy(picture.transpose(2, 0, 1)[None]).byte())
    heat = saliency_maps(model, X, torch.tensor([int(found.probabilities.argmax())]))[0].numpy()
    heat = 0.8 * heat[..., None] / heat.max()
    np.testing.assert_allclose(small, picture * (1 - heat) + heat * [255, 0, 0], atol=1)


def test_paths_are_files_and_folders(stripes: Path, tmp_path: Path) -> None:
    one = stripes / "down" / "3.png"
    assert image_paths([one, stripes / "plain"])[:1] == [one]
    assert len(image_paths([stripes / "plain"])) == 40
    for given, says in ((tmp_path, "holds no image"), (tmp_path / "a.png", "there is no image")):
        with pytest.raises(UserError, match=says):
            image_paths([given])


def test_the_scale_is_that_of_the_run(striped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from trainables.training.inputs import data_of

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    predictor = Predictor(striped / layout.CHECKPOINT_FILE)
    scale = scale_of(data_of(predictor.config), torch.device("cpu"))
    torch.testing.assert_close(predictor.scale.mean, scale.mean)
    torch.testing.assert_close(predictor.scale.std, scale.std)
