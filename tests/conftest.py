"""What all tests share: commands as they are typed; properties tried on the same examples, however busy the machine."""

import os
import runpy
import sys
from collections.abc import Callable

import pytest
from hypothesis import settings

# At Ray's niceness of 15 workers starve beside anything else, and tests have limits of time.
os.environ.setdefault("RAY_worker_niceness", "0")
# Several processes of tests, each with a thread for every core, would slow each other down.
os.environ.setdefault("OMP_NUM_THREADS", "1")
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Return a function that runs `python -m module words`; its exit code, stdout and stderr."""

    def run(module: str, *words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", [module, *words])
        monkeypatch.delitem(sys.modules, module, raising=False)  # other tests import it too
        with pytest.raises(SystemExit) as end:
            runpy.run_module(module, run_name="__main__")
        assert isinstance(end.value.code, int)
        return end.value.code, *capsys.readouterr()

    return run
