"""Many training runs: sampling, scheduling, the durable record, resume. The one room that knows Ray.

study.run(study.Spec(space="mixed_bits", trials=12))      # what python -m study.launch does
"""

import os
import sys

from study_common.commands import needs

needs("ray")
if "ray" not in sys.modules:  # Ray reads it once, when it is imported
    os.environ.setdefault("RAY_AUTH_MODE", "token")

from study.execution.driver import Outcome, resume, run
from study.planning.plan import plan
from study.planning.spec import Spec
from study.store.request import Request

__all__ = ["Outcome", "Request", "Spec", "plan", "resume", "run"]
