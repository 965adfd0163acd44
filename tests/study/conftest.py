"""Small requests for the tests of this room."""

from collections.abc import Callable
from pathlib import Path

import pytest

from study.request import Request
from study.spec import Spec, plan
from tests.trainables.conftest import stripes as stripes


@pytest.fixture
def request_of(tmp_path: Path) -> Callable[..., Request]:
    """Return a function that plans a study of the mixed bits space, under a directory of this test."""

    def make(**given: object) -> Request:
        return plan(Spec(**{"space": "mixed_bits", "runs_dir": str(tmp_path), "epochs": 9, **given}))  # type: ignore[arg-type]

    return make
