"""How far two sets of saliency maps agree: in ranks, in the top pixels, and in local structure."""

import torch
from torch import Tensor
from torchmetrics.functional import spearman_corrcoef
from torchmetrics.functional.image import structural_similarity_index_measure

TOP = 0.1
"""The fraction of the pixels that the intersection over union compares."""


def agreement(maps: Tensor, others: Tensor) -> dict[str, float]:
    """Compare maps of the same images, image by image.

    Args:
        maps: (n, H, W), 0 or above.
        others: (n, H, W), 0 or above.

    Returns:
        The means over images: `spearman`, the rank correlation of the pixels in [-1, 1], 0 if a map is constant;
        `top_iou`, the intersection over union of their `TOP` pixels in [0, 1], about TOP / (2 - TOP) by chance;
        `ssim`, the structural similarity (Wang et al. 2004) of the maps, each divided by its largest value, in [-1, 1].
    """
    structure = structural_similarity_index_measure(_to_one(maps), _to_one(others), data_range=1.0)
    assert isinstance(structure, Tensor)
    return {
        "spearman": rank_correlation(maps, others).mean().item(),
        "top_iou": _top_iou(maps, others).mean().item(),
        "ssim": structure.item(),
    }


def rank_correlation(maps: Tensor, others: Tensor) -> Tensor:
    """Return Spearman's correlation of the pixels of each image.

    Args:
        maps: (n, H, W).
        others: (n, H, W).

    Returns:
        (n,) in [-1, 1]; 0 if a map is constant.

    >>> a = torch.tensor([[[1.0, 2.0, 3.0]]])
    >>> round(rank_correlation(a, -a.exp()).item(), 3)
    -1.0
    """
    varied = (maps.flatten(1).std(1) > 0) & (others.flatten(1).std(1) > 0)
    found = torch.zeros(len(maps), device=maps.device)
    if varied.any():
        pairs = (m[varied].flatten(1).T for m in (maps, others))
        found[varied] = spearman_corrcoef(*pairs)
    return found


def _top_iou(maps: Tensor, others: Tensor) -> Tensor:
    top, other_top = (_top(m.flatten(1)) for m in (maps, others))
    return (top & other_top).sum(1) / (top | other_top).sum(1)


def _top(flat: Tensor) -> Tensor:
    chosen = flat.topk(round(TOP * flat.shape[1]), dim=1).indices
    return torch.zeros_like(flat, dtype=torch.bool).scatter_(1, chosen, True)


def _to_one(maps: Tensor) -> Tensor:
    largest = maps.amax((1, 2), keepdim=True).clamp(min=torch.finfo(maps.dtype).tiny)
    return (maps / largest)[:, None]
