"""Image data sets as tensors of bytes in memory, and the batches that training draws from them."""

from trainables.data.augmentation import augmentation
from trainables.data.batches import batches
from trainables.data.dataset import Data, Split, list_files, load, load_test, split_in_colour
from trainables.data.images.preparation import Preparation
from trainables.data.masks import Masks, load_masks

__all__ = [
    "Data",
    "Masks",
    "Preparation",
    "Split",
    "augmentation",
    "batches",
    "list_files",
    "load",
    "load_masks",
    "load_test",
    "split_in_colour",
]
