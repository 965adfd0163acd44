"""Statistics of images."""

import numpy as np

_LEVELS = np.arange(256) / 255


def mean_and_std(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each channel's mean and standard deviation in [0, 1], reading few images at a time.

    The deviation of a channel that is the same everywhere is 1: images are divided by it.

    Parameters
    ----------
    images
        (n, C, H, W) uint8, n at least 1
    """
    counts = np.zeros((images.shape[1], 256))
    for start in range(0, len(images), 256):
        channels = np.moveaxis(images[start : start + 256], 1, 0)
        counts += [np.bincount(channel.ravel(), minlength=256) for channel in channels]
    shares = counts / counts.sum(1, keepdims=True)
    mean = shares @ _LEVELS
    std = np.sqrt((shares @ _LEVELS**2 - mean**2).clip(0))
    std[shares.max(1) == 1] = 1  # rounding leaves some of them just above 0
    return tuple(mean.tolist()), tuple(std.tolist())
