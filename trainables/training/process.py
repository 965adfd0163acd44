"""The setup of a process that trains: one thread, and memory that it keeps."""

import ctypes
import sys

import torch

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # mallopt's parameters, of <malloc.h>
_LARGEST_MMAP_THRESHOLD = 32 * 2**20


def prepare_process() -> None:
    """Compute on one thread, so that the seed determines every bit, and keep freed memory for the next step.

    Every step frees memory of activations that the next step allocates again. By default glibc returns it to the
    system, and allocating it again costs one page fault per 4 KiB: about a fifth of a step of the CNN of paper B.
    """
    torch.set_num_threads(1)
    # On a GPU float32 means float32: every evaluation relies on it, and training requests bfloat16 explicitly.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc and hasattr(libc, "mallopt"):
        libc.mallopt(_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(_MMAP_THRESHOLD, _LARGEST_MMAP_THRESHOLD)
