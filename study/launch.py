"""Start a study: python -m study.launch --space mixed_bits"""

import sys
from collections.abc import Sequence

import study
from study.planning.command_line import parse
from study_common.commands import exit_code, needs


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code: 0, 2 for bad input, 1 for a fault, 128 + n after signal n."""
    return exit_code(lambda: _main(argv))


def _main(argv: Sequence[str] | None) -> int:
    spec, dry_run, to = parse("study.launch", __doc__, argv)
    # Ray, torch and Optuna take seconds to import: only once the command line is right.
    needs("ray")
    if dry_run:
        from study.planning.dry_run import describe
        from study.planning.plan import plan

        print(describe(plan(spec)))
        return 0
    if to:
        from study.execution.submission import submit

        return submit(to, spec, sys.argv[1:] if argv is None else list(argv))
    return study.run_study(spec).code


if __name__ == "__main__":
    raise SystemExit(main())
