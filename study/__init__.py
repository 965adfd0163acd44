"""Many training runs: sampling, scheduling, the durable record, resume. The one room that knows Ray.

study.run(study.Spec(space="mixed_bits", trials=12))      # what python -m study.launch does
"""

import os
import sys

from search_spaces.commands import needs

needs("ray")
if "ray" not in sys.modules:  # Ray reads it once, when it is imported
    os.environ.setdefault("RAY_AUTH_MODE", "token")

from study.driver import Outcome, resume, run
from study.request import Request
from study.spec import Spec, plan

__all__ = ["Outcome", "Request", "Spec", "plan", "resume", "run"]
