"""Linear imputation: each missing pixel becomes the weighted mean of its eight neighbours (Rong et al. 2022, ROAD)."""

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-3
"""Of the residual, relative to the right-hand side. In pixels that is 0.005 of the images' range or less (a test)."""
MOST_ITERATIONS = 500  # of conjugate gradients; 28x28 images need 10 to 60


@torch.no_grad()
def impute(images: Tensor, missing: Tensor) -> Tensor:
    """Fill missing pixels with the harmonic function of the known ones.

    Each missing pixel equals the mean of its neighbours, weights 1/6 beside and 1/12 diagonally, without those outside
    the image: equation 3 of ROAD. The symmetric system is solved for all images at once by conjugate gradients.

    Args:
        images: (n, C, H, W), of any range; what stands at missing pixels does not matter.
        missing: bool (n, 1, H, W), true where a pixel is to be filled.

    Returns:
        (n, C, H, W); an image without a known pixel becomes 0.

    >>> impute(torch.tensor([[[[0.0, 9.0, 1.0]]]]), torch.tensor([[[[False, True, False]]]])).round(decimals=3)
    tensor([[[[0.0000, 0.5000, 1.0000]]]])
    """
    unknown = missing.to(images.dtype)
    known = torch.where(missing, 0.0, images)
    degree = _neighbours(torch.ones_like(unknown[:1]))
    right = _neighbours(known) * unknown
    found = _mean(known, missing) * unknown
    residual = right - (degree * found - _neighbours(found)) * unknown
    direction = residual / degree
    size = _dot(residual, direction)
    enough = TOLERANCE**2 * _dot(right, right / degree)
    for _ in range(MOST_ITERATIONS):
        if bool((size <= enough).all()):
            break
        image_of = (degree * direction - _neighbours(direction)) * unknown
        step = _ratio(size, _dot(direction, image_of))
        found = found + step * direction
        residual = residual - step * image_of
        scaled = residual / degree
        next_size = _dot(residual, scaled)
        direction = scaled + _ratio(next_size, size) * direction
        size = next_size
    return known + found


def _neighbours(images: Tensor) -> Tensor:
    """The weighted sum of each pixel's neighbours: [1 2 1; 2 0 2; 1 2 1] / 12, zeros outside."""
    rows = F.pad(images, (0, 0, 1, 1))
    rows = rows[..., :-2, :] + 2 * rows[..., 1:-1, :] + rows[..., 2:, :]
    both = F.pad(rows, (1, 1))
    return (both[..., :-2] + 2 * both[..., 1:-1] + both[..., 2:] - 4 * images) / 12


def _mean(known: Tensor, missing: Tensor) -> Tensor:
    """A first guess: the mean of the image's known pixels."""
    return known.sum((2, 3), keepdim=True) / (~missing).sum((2, 3), keepdim=True).clamp(min=1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((2, 3), keepdim=True)


def _ratio(a: Tensor, b: Tensor) -> Tensor:
    """a / b, and 0 where b is: an image that is solved already."""
    return torch.where(b > 0, a / b.clamp(min=torch.finfo(b.dtype).tiny), 0.0)
