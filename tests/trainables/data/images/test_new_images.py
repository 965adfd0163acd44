"""An image of no data set becomes the pixels that training would have seen, or is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from study_common.errors import UserError
from trainables.data import Preparation, load
from trainables.data.images.new_images import NewImages

NEW = {"preparation": Preparation(image_size=16), "channels": 3, "depth": 0}


@pytest.fixture
def levels(tmp_path: Path) -> np.ndarray:
    rows = np.linspace(0, 4095, 40 * 40).reshape(40, 40).astype(np.uint16)
    Image.fromarray(rows).save(tmp_path / "deep.png")
    Image.fromarray((rows >> 4).astype(np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(
        tmp_path / "colour.png"
    )
    return rows


@pytest.mark.parametrize("change", [{}, {"resize": "crop"}, {"resize": "pad"}, {"crop_border": True}])
def test_a_training_image_becomes_the_pixels_of_the_data_set(
    change: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    generator = np.random.default_rng(0)
    for number in range(8):
        folder = tmp_path / "set" / "ab"[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.zeros((30, 50, 3), np.uint8)
        pixels[3:25, 5:44] = generator.integers(20, 256, (22, 39, 3))
        Image.fromarray(pixels).save(folder / f"{number}.png")
    preparation = Preparation(image_size=16, **change)  # type: ignore[arg-type]
    data = load("folder", tmp_path / "set", preparation)
    known = {image.numpy().tobytes() for image in (*data.train.images, *data.validation.images)}
    reader = NewImages(preparation=preparation, channels=3, depth=0)
    made = {reader.read(path).tobytes() for path in (tmp_path / "set").rglob("*.png")}
    assert known < made


def test_bits_and_channels_are_those_of_training(levels: np.ndarray, tmp_path: Path) -> None:
    deep = NewImages(**NEW | {"depth": 12, "channels": 1}).read(tmp_path / "deep.png")
    grey = NewImages(**NEW | {"channels": 1}).read(tmp_path / "grey.png")
    assert deep.shape == (1, 16, 16)
    np.testing.assert_array_equal(deep, grey)
    assert NewImages(**NEW).read(tmp_path / "grey.png").shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("file", "model", "says"),
    [
        ("deep.png", {}, "more than the 8 bits of the training images"),
        ("deep.png", {"depth": 10}, "more than the 10 bits of the training images"),
        ("colour.png", {"channels": 1}, "in colour and the model was trained on grey"),
        ("nothing.png", {}, "cannot be used: .*No such file"),
        ("text.png", {}, "it is none of JPEG"),
    ],
)
def test_pixels_without_a_meaning_are_refused_by_name(
    file: str, model: dict[str, object], says: str, levels: np.ndarray, tmp_path: Path
) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(UserError, match=f"{file} cannot be used: .*{says}" if "cannot" not in says else says):
        NewImages(**NEW | model).read(tmp_path / file)
