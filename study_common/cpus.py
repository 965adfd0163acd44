"""The number of CPUs that this process may use, limited by its affinity and by the quota of its container."""

import math
import os
import sys
from pathlib import Path


def available_cpus(root: Path = Path("/")) -> int:
    """Return how many CPUs this process may use, at least 1: the smaller of its affinity and its cgroup's quota.

    A quota of part of a CPU is rounded down, as Ray does. `root` is where /proc and /sys are.
    """
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return max(1, int(min(allowed, _quota(root))))


def _quota(root: Path) -> float:
    """Return the CPUs that the cgroup of this process and those above it may use; infinite without a limit."""
    try:
        groups = [line.split(":", 2) for line in (root / "proc/self/cgroup").read_text().splitlines()]
    except OSError:
        return math.inf
    limits = [math.inf]
    for _, controllers, path in groups:
        top = root / "sys/fs/cgroup" / (controllers if controllers else "")
        for folder in _upwards(top, path):
            limits.append(_limit_v1(folder) if controllers else _limit_v2(folder))
    return min(limits)


def _upwards(top: Path, path: str) -> list[Path]:
    """Return the folder of a cgroup and those above it; inside a container its own is the top."""
    folder = top / path.lstrip("/")
    return [folder, *(above for above in folder.parents if above == top or top in above.parents), top]


def _limit_v2(folder: Path) -> float:
    """Read cpu.max: a quota, or "max", and a period in microseconds."""
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return math.inf if quota == "max" else int(quota) / int(period)
    except (OSError, ValueError):
        return math.inf


def _limit_v1(folder: Path) -> float:
    """Read cpu.cfs_quota_us, which is -1 without a limit, and its period."""
    try:
        quota, period = (
            int((folder / f"cpu.cfs_{name}_us").read_text().strip()) for name in ("quota", "period")
        )
        return quota / period if quota > 0 else math.inf
    except (OSError, ValueError):
        return math.inf
