"""What this process may use of its machine: CPUs and memory, less than it has in a container, or by its affinity."""

import math
import os
import resource
import sys
from collections.abc import Callable, Iterator
from pathlib import Path


def available_cpus(root: Path = Path("/")) -> int:
    """Return how many CPUs this process may use, at least 1: the smaller of its affinity and its cgroup's quota.

    A quota of part of a CPU is rounded down, as Ray does. `root` is where /proc and /sys are.
    """
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, int(min(allowed, _limit(root, _cpus_v1, _cpus_v2))))


def available_memory(root: Path = Path("/")) -> int:
    """Return how many bytes of memory this process may use: the smaller of what is installed and its cgroup's limit."""
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(installed, _limit(root, _memory_v1, _memory_v2)))


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss counts the process that started this one, before it became this program
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * int(fields["VmHWM"].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _limit(root: Path, v1: Callable[[Path], float], v2: Callable[[Path], float]) -> float:
    """Return the least limit of the cgroup of this process and of those above it; infinite without one."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return math.inf
    return min(
        (
            _read(v1 if controllers else v2, folder)
            for _, controllers, path in groups
            for folder in _upwards(root / "sys/fs/cgroup" / controllers, path)
        ),
        default=math.inf,
    )


def _upwards(top: Path, path: str) -> Iterator[Path]:
    """Return the folder of a cgroup and those above it; inside a container its own is the top."""
    folder = top / path.lstrip("/")
    yield folder
    yield from (above for above in folder.parents if above == top or top in above.parents)
    yield top


def _read(limit: Callable[[Path], float], folder: Path) -> float:
    try:
        return limit(folder)
    except (OSError, ValueError, ZeroDivisionError):
        return math.inf


def _cpus_v2(folder: Path) -> float:
    """Read cpu.max: a quota, or "max", and a period in microseconds."""
    quota, period = (folder / "cpu.max").read_text().split()
    return int(quota) / int(period)


def _cpus_v1(folder: Path) -> float:
    """Read cpu.cfs_quota_us, which is -1 without a limit, and its period."""
    quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    return quota / period if quota > 0 else math.inf


def _memory_v2(folder: Path) -> float:
    """Read memory.max: bytes, or "max"."""
    return int((folder / "memory.max").read_text())


def _memory_v1(folder: Path) -> float:
    """Read memory.limit_in_bytes, which is larger than any memory without a limit."""
    return int((folder / "memory.limit_in_bytes").read_text())
