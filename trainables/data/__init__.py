"""Image data sets as tensors of bytes in memory, and the batches that training draws from them."""

from trainables.data.batches import augmentation, batches, shift_and_flip, turn_and_tint
from trainables.data.dataset import Data, Split, list_files, load, load_test, split_in_colour
from trainables.data.preparation import Preparation

__all__ = [
    "Data",
    "Preparation",
    "Split",
    "augmentation",
    "batches",
    "list_files",
    "load",
    "load_test",
    "shift_and_flip",
    "split_in_colour",
    "turn_and_tint",
]
