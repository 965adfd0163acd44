"""Localisation: do the maps point at where the finding is?

    saliency_inside   the share of a map's saliency that lies inside the mask
    pointing_game     whether the most salient pixel lies inside (Zhang et al., "Top-down Neural Attention by Excitation
                      Backprop", 2016)

Findings tend to lie in the middle of a picture, so a map that knows nothing but the middle scores well too: the
centre prior is measured beside the model's maps, and so is what lies inside of the area.
"""

import torch
from torch import Tensor

from trainables.saliency.faithfulness import standard_error

CENTRE = 1 / 4  # of the image's sides: the standard deviation of the centre prior


def saliency_inside(maps: Tensor, inside: Tensor) -> Tensor:
    """Return the share of each map's saliency inside its mask, (n,) in [0, 1]; of a map of zeros that of the area.

    >>> saliency_inside(torch.tensor([[[3.0, 1.0]]]), torch.tensor([[[True, False]]])).tolist()
    [0.75]

    Args:
        maps: (n, H, W), 0 or above.
        inside: bool (n, H, W).
    """
    flat, mask = maps.flatten(1).double(), inside.flatten(1).double()
    flat = torch.where(flat.sum(1, keepdim=True) > 0, flat, 1.0)
    return (flat * mask).sum(1) / flat.sum(1)


def pointing_game(maps: Tensor, inside: Tensor) -> Tensor:
    """Return whether each map's highest pixel lies inside its mask, (n,) in [0, 1]: of equal ones, their share.

    >>> pointing_game(torch.tensor([[[3.0, 3.0, 1.0]]]), torch.tensor([[[True, False, False]]])).tolist()
    [0.5]

    Args:
        maps: (n, H, W).
        inside: bool (n, H, W).
    """
    flat, mask = maps.flatten(1), inside.flatten(1).double()
    highest = (flat == flat.amax(1, keepdim=True)).double()
    return (highest * mask).sum(1) / highest.sum(1)


def centre_prior(height: int, width: int) -> Tensor:
    """Return a Gaussian in the middle of an image, (height, width)."""
    rows, columns = (
        torch.exp(-0.5 * (torch.linspace(-0.5, 0.5, side) / CENTRE) ** 2) for side in (height, width)
    )
    return rows[:, None] * columns


def localisation(maps: Tensor, inside: Tensor) -> dict[str, float]:
    """Return what a trial records of where its maps point.

    saliency_inside, pointing_game   the means over images, with _se
    ....centre                       the same of the centre prior, with _se
    ....over_centre                  the difference, with the _se of the paired difference
    mask_area                        the mean share of the area inside: what a random map reaches
    localised_images                 how many images there were

    Args:
        maps: (n, H, W), 0 or above.
        inside: bool (n, H, W), the masks.
    """
    prior = centre_prior(*maps.shape[1:]).to(maps).expand_as(maps)
    found = {"localised_images": float(len(maps)), "mask_area": inside.double().mean().item()}
    for name, score in (("saliency_inside", saliency_inside), ("pointing_game", pointing_game)):
        mine, theirs = score(maps, inside).cpu(), score(prior, inside).cpu()
        for key, each in ((name, mine), (f"{name}.centre", theirs), (f"{name}.over_centre", mine - theirs)):
            found |= {key: each.mean().item(), f"{key}_se": standard_error(each) if len(each) > 1 else 0.0}
    return found
