"""Little picture sets on disk, and loading them as a new process would."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from study_common.errors import UserError
from trainables.data import Preparation, load


def noise(path, seed, size=(40, 32), mode="RGB"):
    shape = (*reversed(size), *([] if mode == "L" else [len(mode)]))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8), mode).save(path)
    return path


def two_classes(folder, each=10):
    for number in range(2 * each):
        noise(folder / f"class {number % 2}" / f"{number}.png", number)
    return folder


def fresh(name, folder, **preparation):
    """Load as a new process would: nothing kept in memory."""
    load.cache_clear()
    return load(name, folder, Preparation(**preparation))


def rows(split):
    return Counter(zip(map(bytes, split.images.flatten(1).numpy()), split.labels.tolist(), strict=True))


def refused(name, folder, **preparation):
    with pytest.raises(UserError, match=r".") as info:
        fresh(name, folder, **preparation)
    assert "\n" not in str(info.value)
    return str(info.value)


def rows_of(paths, classes):
    """What `rows` gives of these files, by plain decoding; a file's folder is its class."""
    pixels = [
        np.asarray(Image.open(path).convert("RGB").resize((64, 64), Image.Resampling.BILINEAR)).transpose(
            2, 0, 1
        )
        for path in paths
    ]
    return Counter(
        (p.tobytes(), classes.index(path.parent.name)) for p, path in zip(pixels, paths, strict=True)
    )
