"""Image data sets as tensors of bytes in memory, and the batches that training draws from them."""

from trainables.data.batches import batches, shift_and_flip
from trainables.data.dataset import NAMES, Data, Split, load, load_test

__all__ = ["NAMES", "Data", "Split", "batches", "load", "load_test", "shift_and_flip"]
