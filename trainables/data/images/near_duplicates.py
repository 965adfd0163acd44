"""Pictures that look alike: the same one resized or compressed again, or the next frame of a video.

A perceptual hash is made of the low frequencies of a grey picture, where high ones count more than they are large and
the largest count less. Two pictures are near-duplicates if the cosine between their hashes is at least `ALIKE`. Hashes
are whole numbers, so that every machine finds the same near-duplicates.
"""

from collections.abc import Iterator

import numpy as np
from PIL import Image
from scipy.fft import dct
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

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
_ROUNDING = 1e-4
"""More than float32 can lose of a bound."""
_LOW = (np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]) < 6.5).ravel()[1:]
_BASIS = dct(np.eye(SIDE), axis=0, norm="ortho")[:FREQUENCIES]
_WEIGHTS = np.hypot(*np.mgrid[:FREQUENCIES, :FREQUENCIES]) ** 0.5


def perceptual_hash(image: Image.Image) -> np.ndarray:
    """Return (LENGTH,) int8; zeros, which are near to nothing, for a picture of one level."""
    small = (image if image.mode == "L" else image.convert("L")).resize(
        (SIDE, SIDE), Image.Resampling.BILINEAR
    )
    grey = np.frombuffer(small.tobytes(), np.uint8).astype(np.float64)
    if grey @ grey / grey.size - (grey.sum() / grey.size) ** 2 < _FLAT**2:  # the variance, of whole numbers
        return np.zeros(LENGTH, np.int8)
    low = (_BASIS @ grey.reshape(SIDE, SIDE) @ _BASIS.T) * _WEIGHTS
    sizes = np.sqrt(np.abs(low)).ravel()[1:]
    hashed: np.ndarray = np.rint(np.copysign(sizes, low.ravel()[1:]) * (127 / sizes.max())).astype(np.int8)
    return hashed


def nearest_copies(hashes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return for each of `hashes` (n, LENGTH) the index of its nearest near-duplicate among `others`, -1 for none.

    Of equally near ones it is the first.
    """
    found, best = np.full(len(hashes), -1), np.zeros(len(hashes), np.float32)
    for rows, columns, cosines in _near(hashes, others):
        for row, column, cosine in zip(rows, columns, cosines, strict=True):
            if cosine > best[row]:
                found[row], best[row] = column, cosine
    return found


def look_alikes(hashes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Join groups that hold near-duplicates of each other.

    Args:
        hashes: (n, LENGTH) perceptual hashes.
        groups: (n,) integers; equal ones are already one group.

    Returns:
        (n,) integers; equal ones are one group. No near-duplicates are in two.
    """
    _, members = np.unique(groups, return_inverse=True)
    ones, others = [members[:0]], [members[:0]]
    for rows, columns, _ in _near(hashes, hashes):
        ones.append(members[rows])
        others.append(members[columns])
    places = (np.concatenate(ones), np.concatenate(others))
    links = coo_array((np.ones(len(places[0])), places), shape=(len(members), len(members)))
    together: np.ndarray = connected_components(links, directed=False)[1]
    return together[members]


def _near(hashes: np.ndarray, others: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield the near-duplicates, some rows at a time: the indices of both, by rows, and their cosines (k,).

    First comes a bound, for which a quarter of the products is enough: with x = (x', x") in low and other frequencies,
    x y <= x' y' + |x"| |y"|. The cosines of what remains are exact: LENGTH * 127 * 127 is a whole number that float32
    holds, so that every machine finds the same.
    """
    bounds, lengths = _bounds(others).T.copy(), _lengths(others)
    for start in range(0, len(hashes), _CHUNK):
        some = hashes[start : start + _CHUNK]
        rows, columns = np.nonzero(_bounds(some) @ bounds >= ALIKE - _ROUNDING)
        products = np.einsum("ij,ij->i", some[rows].astype(np.int32), others[columns].astype(np.int32))
        cosines = products.astype(np.float32) / (_lengths(some)[rows] * lengths[columns])
        near = cosines >= ALIKE
        yield rows[near] + start, columns[near], cosines[near]


def _bounds(hashes: np.ndarray) -> np.ndarray:
    """Return the low frequencies of each hash of length 1, and the length of its others; (n, k) float32."""
    units = hashes / _lengths(hashes)[:, None]
    others = np.sqrt((units[:, ~_LOW] ** 2).sum(1, keepdims=True))
    return np.hstack((units[:, _LOW], others)).astype(np.float32)


def _lengths(hashes: np.ndarray) -> np.ndarray:
    """Return the length of each hash (n,), 1 for one of zeros."""
    lengths: np.ndarray = np.sqrt((hashes.astype(np.float32) ** 2).sum(1)).clip(1)
    return lengths
