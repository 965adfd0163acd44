"""Launches at once, without --name: python -m tests.benchmarks.launches --pairs 20 [--json FILE]

Two processes plan the same study under the same directory at the same time, and train toys. All of them are to start
and to complete.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.study.drive import ROOT

PROGRAM = """
from study_common.output import reserve_standard_descriptors
reserve_standard_descriptors()
import sys, study
from tests.study import toys
spec = study.Spec(space="mixed_bits", runs_dir=sys.argv[1], trials=2, epochs=2, workers=1)
raise SystemExit(study.run_study(spec, train=toys.toy).code)
"""


def launch_pair(runs: Path) -> list[str]:
    """Launch two studies at once; what each that failed said last."""
    command = [sys.executable, "-c", PROGRAM, str(runs)]
    both = [
        subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0] for process in both]
    return [text[-500:] for process, text in zip(both, said, strict=True) if process.returncode]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=600.0, help="begin no pair after so many")
    parser.add_argument("--json", type=Path, help="write the figures here")
    arguments = parser.parse_args()
    start, failed, pairs = time.monotonic(), [], 0
    with tempfile.TemporaryDirectory() as runs:
        while pairs < arguments.pairs and time.monotonic() - start < arguments.seconds:
            failed += launch_pair(Path(runs))
            pairs += 1
        studies = len(list(Path(runs).iterdir()))
    figures = {"pairs": pairs, "completed": 2 * pairs - len(failed), "studies": studies}
    print(figures)
    print(*failed, sep="\n")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
