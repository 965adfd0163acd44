"""Debian's copy of the released Fashion-MNIST, where the machine has it."""

from pathlib import Path

import pytest

DEBIAN = Path("/usr/share/datasets/fashion-mnist")
needs_debian = pytest.mark.skipif(not DEBIAN.is_dir(), reason="needs Debian's dataset-fashion-mnist")
