"""A prepared process: its freed memory comes back without page faults. Linux with glibc only, as the claim is."""

import subprocess
import sys

import pytest
import torch

from trainables.training.process import prepare_process

SCRIPT = """
import resource, torch
from trainables.training.process import prepare_process
prepare_process()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(2_000_000) for _ in range(8)]  # 64 MB, as the activations of a step
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults(), torch.get_num_threads())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_that_was_freed_is_used_again():
    """Without `prepare_process` it is 300,000 faults, or none if by luck something lies above the freed memory."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120
    )
    faults, threads = (int(word) for word in done.stdout.split())
    assert threads == 1
    assert faults < 1000


def test_float32_is_not_tf32() -> None:
    """PyTorch's own default for convolutions is TF32, with 10 bits of mantissa, on Ampere and later."""
    torch.backends.cudnn.allow_tf32 = True
    prepare_process()
    assert not torch.backends.cudnn.allow_tf32
    assert not torch.backends.cuda.matmul.allow_tf32
