"""Pictures that look alike: the same one resized or compressed again, or the next frame of a video.

A perceptual hash is the sign of each low frequency of a picture, against their median. Two pictures are near-duplicates
if their hashes differ in few bits.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.fft import dctn

SIDE = 32
"""Pictures are reduced to so many pixels per side before their frequencies are taken."""
FREQUENCIES = 16
"""The lowest frequencies per direction that count."""
BITS = FREQUENCIES**2 - 1
"""Bits of a hash; the mean brightness is not among them."""
LIMIT = 25
"""Hashes that differ in at most so many bits are near-duplicates."""
_FLAT = 2.0
"""A picture whose grey levels deviate less than this has no structure that could be compared."""
_CHUNK = 256


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """Return (BITS,) values of 1 and -1 as int8; zeros, which are near to nothing, for a picture of one level."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float64)
    if grey.std() < _FLAT:
        return np.zeros(BITS, np.int8)
    low = dctn(grey, norm="ortho")[:FREQUENCIES, :FREQUENCIES].ravel()[1:]
    return np.where(low > np.median(low), 1, -1).astype(np.int8)


def nearest_copies(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each of `hashes` (n, BITS) the index of its nearest near-duplicate among `others`, -1 for none."""
    found = np.full(len(hashes), -1)
    for start, agreement in _agreements(hashes, others):
        best = agreement.argmax(1)
        near = agreement[np.arange(len(best)), best] >= BITS - 2 * LIMIT
        found[start : start + len(best)] = np.where(near, best, -1)
    return found


def look_alikes(hashes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Join groups that hold near-duplicates of each other.

    Args:
        hashes: (n, BITS) perceptual hashes.
        groups: (n,) integers; equal ones are already one group.

    Returns:
        (n,) integers; equal ones are one group. No near-duplicates are in two.
    """
    labels = groups.copy()
    for start, agreement in _agreements(hashes, hashes):
        for row, near in enumerate(agreement >= BITS - 2 * LIMIT, start):
            together = np.unique(labels[near])
            if together.size > 1 or (together.size and together[0] != labels[row]):
                labels[np.isin(labels, np.append(together, labels[row]))] = min(*together, labels[row])
    return labels


def _agreements(hashes: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield some rows at a time: the first one's index, and by how many bits more they agree than differ (rows, m)."""
    if not len(others):
        return
    columns = others.astype(np.float32).T
    for start in range(0, len(hashes), _CHUNK):
        yield start, hashes[start : start + _CHUNK].astype(np.float32) @ columns
