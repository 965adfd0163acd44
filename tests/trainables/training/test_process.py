"""A prepared process: its freed memory comes back without page faults. Linux with glibc only, as the claim is."""

import subprocess
import sys

import pytest

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
