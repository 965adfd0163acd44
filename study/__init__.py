"""Many training runs: planning, search, the durable record, execution under Ray. The only package that knows Ray.

The public names are loaded on first use, so that a command parses its arguments before it imports Ray and torch.

    study.run_study(study.Spec(space="mixed_bits", trials=12))  # what python -m study.launch does
"""

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from study_common.commands import needs

if TYPE_CHECKING:
    from study.execution.driver import Changes, Outcome, resume_study, run_study
    from study.planning.plan import plan
    from study.planning.spec import Spec
    from study.search.sms_ego_sampler import SmsEgoSampler
    from study.store.request import Request

__all__ = ["Changes", "Outcome", "Request", "SmsEgoSampler", "Spec", "plan", "resume_study", "run_study"]

_HOMES = {
    "Changes": "study.execution.driver",
    "Outcome": "study.execution.driver",
    "Request": "study.store.request",
    "SmsEgoSampler": "study.search.sms_ego_sampler",
    "Spec": "study.planning.spec",
    "plan": "study.planning.plan",
    "resume_study": "study.execution.driver",
    "run_study": "study.execution.driver",
}
"""The module of each public name."""

if "ray" not in sys.modules:  # Ray reads it once, when it is imported
    os.environ.setdefault("RAY_AUTH_MODE", "token")


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'study' has no attribute {name!r}")
    needs("ray")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, loaded or not."""
    return sorted({*globals(), *__all__})
