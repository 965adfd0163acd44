"""Where there are no locks, one line says which systems are supported."""

import importlib
import sys

import pytest

from study_common import locks
from study_common.errors import UserError


def test_windows_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "fcntl", None)
        with pytest.raises(UserError, match="on Linux and macOS; on Windows use WSL 2"):
            importlib.reload(locks)
    importlib.reload(locks)
