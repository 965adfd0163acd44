"""CPUs and memory that a process may use: less than the machine has in a container, or where its affinity says so."""

import os
import sys
from pathlib import Path

import pytest

from study_common.machine import available_cpus, available_memory, peak_memory

GROUPS = {
    "0::/": {"cpu.max": "150000 100000"},
    "0::/a/b": {"a/cpu.max": "100000 100000", "a/b/cpu.max": "max 100000"},
    "3:cpu,cpuacct:/docker/x\n2:memory:/docker/x": {
        "cpu,cpuacct/cpu.cfs_quota_us": "100000",
        "cpu,cpuacct/cpu.cfs_period_us": "100000",
    },
    "0::/tiny": {"tiny/cpu.max": "20000 100000"},
}


@pytest.fixture
def two_cpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 5}, raising=False)


def tree(root: Path, groups: str, files: dict[str, str]) -> Path:
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups + "\n")
    for name, text in files.items():
        path = root / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


@pytest.mark.parametrize("groups", GROUPS)
def test_a_quota_counts(groups: str, two_cpus: None, tmp_path: Path) -> None:
    assert available_cpus(tree(tmp_path, groups, GROUPS[groups])) == 1


@pytest.mark.parametrize(
    ("groups", "files"),
    [
        ("0::/", {"cpu.max": "max 100000"}),
        ("0::/", {"cpu.max": "900000 100000"}),
        ("0::/", {"cpu.max": "nonsense"}),
        ("1:cpu:/", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}),
    ],
)
def test_without_a_quota_affinity_counts(
    groups: str, files: dict[str, str], two_cpus: None, tmp_path: Path
) -> None:
    assert available_cpus(tree(tmp_path, groups, files)) == 2


def test_a_machine_without_cgroups(two_cpus: None, tmp_path: Path) -> None:
    assert available_cpus(tmp_path) == 2
    assert 1 <= available_cpus() <= (os.cpu_count() or 1)


@pytest.mark.parametrize(
    ("groups", "files", "limited"),
    [
        ("0::/a/b", {"a/memory.max": "65536", "a/b/memory.max": "max"}, True),
        ("3:cpu:/x\n2:memory:/x", {"memory/memory.limit_in_bytes": "65536"}, True),
        ("2:memory:/", {"memory/memory.limit_in_bytes": "9223372036854771712"}, False),
        ("0::/", {"memory.max": "nonsense"}, False),
        ("0::/", {}, False),
    ],
)
def test_a_limit_of_memory_counts(groups: str, files: dict[str, str], limited: bool, tmp_path: Path) -> None:
    found = available_memory(tree(tmp_path, groups, files))
    assert (found == 65536) == limited
    if not limited:
        assert found == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_the_peak_is_of_this_process_and_lasts() -> None:
    before = peak_memory()
    held = bytearray(os.urandom(1)) * (before + 10**8)
    assert (peak := peak_memory()) > before + 9 * 10**7
    del held
    assert peak_memory() > peak - 10**7  # the kernel counts pages in parts, and reads a little less at times
