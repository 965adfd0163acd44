"""Where a run trains: on a GPU (CUDA, or Apple's MPS) where there is one, else on the CPU; its images live there."""

import torch
from torch import Tensor

from trainables.data import Split

SHARE = 0.25
"""Of the free memory of a GPU: training images that need no more are copied there once."""


def training_device() -> torch.device:
    """Return the device of a new run."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def resident(split: Split, device: torch.device) -> Split:
    """Return the training images on the device if they fit there; otherwise each batch is copied when it is drawn."""
    fits = device.type == "cuda" and split.images.nbytes <= SHARE * torch.cuda.mem_get_info(device)[0]
    return Split(*(tensor.to(device) for tensor in split)) if fits else split


def arranged(X: Tensor) -> Tensor:
    """Return images (n, C, H, W) as a GPU reads them fastest, channels last; on a CPU as they are."""
    return X if X.device.type == "cpu" else X.contiguous(memory_format=torch.channels_last)
