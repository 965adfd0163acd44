"""Pictures that look alike: the same one resized or compressed again, or the next frame of a video.

A perceptual hash is made of the low frequencies of a grey picture, where high ones count more than they are large and
the largest count less. Two pictures are near-duplicates if the cosine between their hashes is at least `ALIKE`. Hashes
are whole numbers, so that every machine finds the same near-duplicates.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.fft import dct

SIDE = 32
"""Pictures are reduced to so many pixels per side before their frequencies are taken."""
FREQUENCIES = 12
"""The lowest frequencies per direction that count."""
LENGTH = FREQUENCIES**2 - 1
"""Numbers of a hash; the mean brightness is not among them."""
ALIKE = 0.97
"""The least cosine between the hashes of near-duplicates."""
_FLAT = 2.0
"""A picture whose grey levels deviate less than this has no structure that could be compared."""
_CHUNK = 256
_BASIS = dct(np.eye(SIDE), axis=0, norm="ortho")[:FREQUENCIES]
_WEIGHTS = np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]) ** 0.5


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """Return (LENGTH,) int8; zeros, which are near to nothing, for a picture of one level."""
    grey = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float64)
    if grey.std() < _FLAT:
        return np.zeros(LENGTH, np.int8)
    low = (_BASIS @ grey @ _BASIS.T) * _WEIGHTS
    damped = (np.sign(low) * np.abs(low) ** 0.5).ravel()[1:]
    hashed: np.ndarray = np.round(damped * (127 / np.abs(damped).max())).astype(np.int8)
    return hashed


def nearest_copies(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each of `hashes` (n, LENGTH) the index of its nearest near-duplicate among `others`, -1 for none."""
    found = np.full(len(hashes), -1)
    for start, cosines in _cosines(hashes, others):
        best = cosines.argmax(1)
        near = cosines[np.arange(len(best)), best] >= ALIKE
        found[start : start + len(best)] = np.where(near, best, -1)
    return found


def look_alikes(hashes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Join groups that hold near-duplicates of each other.

    Args:
        hashes: (n, LENGTH) perceptual hashes.
        groups: (n,) integers; equal ones are already one group.

    Returns:
        (n,) integers; equal ones are one group. No near-duplicates are in two.
    """
    labels = groups.copy()
    for start, cosines in _cosines(hashes, hashes):
        for row, near in enumerate(cosines >= ALIKE, start):
            together = np.unique(np.append(labels[near], labels[row]))
            if together.size > 1:
                labels[np.isin(labels, together)] = together[0]
    return labels


def _cosines(hashes: np.ndarray, others: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield some rows at a time: the first one's index, and their cosines with all `others` (rows, m).

    The products are exact: LENGTH * 127 * 127 is a whole number that float32 holds.
    """
    if not len(others):
        return
    columns, lengths = others.astype(np.float32).T, _lengths(others)
    for start in range(0, len(hashes), _CHUNK):
        rows = hashes[start : start + _CHUNK]
        yield start, (rows.astype(np.float32) @ columns) / (_lengths(rows)[:, None] * lengths)


def _lengths(hashes: np.ndarray) -> np.ndarray:
    """Return the length of each hash (n,), 1 for one of zeros."""
    lengths: np.ndarray = np.sqrt((hashes.astype(np.float32) ** 2).sum(1)).clip(1)
    return lengths
