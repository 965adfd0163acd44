"""Damage every file that is read back, and run the commands that read it: no traceback, no crash, no silent change.

    python -m tests.benchmarks.damage [--json FILE] [--seed 0] [--count 1000] [--only NAME] [--again N,N]

A mutation damages one file of a fresh copy (types, cuts, flips, links, sizes); then each command that reads the file
runs in a child forked from this process, which has imported everything. Counted are:

    mutations, runs    files damaged, commands run
    tracebacks         commands that ended with a traceback, or with an exit code other than 0 and 2
    crashes            commands that a signal ended, or the limit of 30 seconds
    silent             commands that ended with 0, without a word, and printed or wrote other results
    outside            commands that changed a file outside of the copy
    slowest_s, peak_mb the longest command, and the largest memory of one
"""

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.benchmarks import damage_subjects as subjects
from tests.benchmarks.damage_mutations import MUTATIONS
from tests.benchmarks.damage_runs import runs
from tests.benchmarks.damage_subjects import Subject, studies

LIMIT_S = 30.0
DURATION = re.compile(r'"seconds": [0-9.e-]+|\b[0-9.]+ s\b')
"""What differs between two runs that are the same."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """How one command ended."""

    code: int
    """The exit code, or minus the signal."""
    stdout: str
    stderr: str
    tables: str
    """Digest of the tables or the model that it wrote."""
    report: str
    """Digest of the report, "named" if that names a damaged file."""
    seconds: float
    peak_mb: float

    def says_more_than(self, baseline: "Outcome") -> bool:
        """Tell whether the command said that something is wrong."""
        said = self.stderr.strip()
        return said not in ("", baseline.stderr.strip()) or any(w in self.stdout for w in subjects.NOTICES)


def main() -> int:
    """Print each finding and the counts; 1 if there is a finding."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.damage", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--json", type=Path, help="write the counts here")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000, help="mutations")
    parser.add_argument(
        "--only", default="", metavar="NAME", help="damage only files with this in their path"
    )
    parser.add_argument(
        "--again", default="", metavar="N,N", help="only the mutations of these numbers, to repeat findings"
    )
    arguments = parser.parse_args()
    again = {int(number) for number in arguments.again.split(",") if number}
    with tempfile.TemporaryDirectory() as folder:
        counts, findings = fuzz(Path(folder), arguments.seed, arguments.count, arguments.only, again)
    for finding, number in findings.most_common():
        print(f"{number:5} x {finding}")
    print(json.dumps(counts, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(counts | {"seed": arguments.seed}, indent=2))
    return int(any(counts[name] for name in ("tracebacks", "crashes", "silent", "outside")))


def fuzz(
    folder: Path, seed: int, count: int, only: str = "", again: Collection[int] = ()
) -> tuple[dict[str, float], Counter[str]]:
    """Damage `count` files in turn, or of these only the ones with the numbers `again`; the counts, and findings."""
    rng = np.random.default_rng(seed)
    outside = folder / "outside"
    subjects.fill_outside(outside)
    made = [*studies(folder), *runs(folder)]
    targets = [(subject, file) for subject in made for file in subject.files() if only in str(file)]
    assert targets, f"no file has {only!r} in its path"
    chosen = [targets[k % len(targets)] for k in rng.permutation(max(count, len(targets)))[:count]]
    plans = []
    for number, (subject, file) in enumerate(chosen):
        kind = list(MUTATIONS)[number % len(MUTATIONS)]
        plans.append((number, subject, file, kind, int(rng.integers(2**32))))
    counts = Counter(dict.fromkeys(("mutations", "runs", "tracebacks", "crashes", "silent", "outside"), 0))
    findings: Counter[str] = Counter()
    extremes = {"slowest_s": 0.0, "peak_mb": 0.0}
    baselines = {}
    for subject in made:
        copy = subject.copy(folder / "copy" / subject.name)  # always the same path: it is printed in tables
        for command in subject.commands:
            baselines[subject.name, command] = run(subject, command, copy, folder / "out")
            assert baselines[subject.name, command].code == 0, baselines[subject.name, command]
        shutil.rmtree(copy)
    before = subjects.digest(outside)
    for number, subject, file, kind, own_seed in plans:
        if again and number not in again:
            continue
        copy = subject.copy(folder / "copy" / subject.name)
        note = MUTATIONS[kind](copy / file, np.random.default_rng(own_seed), outside)
        counts["mutations"] += 1
        for command in subject.readers(file):
            outcome = run(subject, command, copy, folder / "out")
            counts["runs"] += 1
            extremes["slowest_s"] = max(extremes["slowest_s"], outcome.seconds)
            extremes["peak_mb"] = max(extremes["peak_mb"], outcome.peak_mb)
            found, why = judge(outcome, baselines[subject.name, command])
            if subjects.digest(outside) != before:
                found, why = "outside", "a file outside was changed"
                subjects.fill_outside(outside)
            if found:
                counts[found] += 1
                findings[f"{found}: {command} of {subject.name}/{subject.kind_of(file)}, {kind}: {why}"] += 1
                print(f"{number}: {found}: {command} {file} {kind} ({note}): {why}", flush=True)
        shutil.rmtree(copy)
    return {**counts, **{name: round(value, 2) for name, value in extremes.items()}}, findings


def judge(outcome: Outcome, baseline: Outcome) -> tuple[str, str]:
    """Return what is wrong with an outcome, and its last words; "" if nothing is."""
    last = (outcome.stderr.strip().splitlines() or [""])[-1][:150]
    if outcome.code < 0:
        return "crashes", f"signal {-outcome.code}"
    if "Traceback" in outcome.stderr or outcome.code not in (0, 2):
        return "tracebacks", last or f"exit code {outcome.code}"
    if outcome.code == 2 and not outcome.stderr.startswith("error: "):
        return "tracebacks", f"exit code 2 with {last!r}"
    changed = {
        "stdout": outcome.stdout != baseline.stdout,
        "tables": outcome.tables != baseline.tables,
        "report": outcome.report not in (baseline.report, "named"),
    }
    if outcome.code == 0 and any(changed.values()) and not outcome.says_more_than(baseline):
        return "silent", f"other {' and '.join(name for name, other in changed.items() if other)}"
    return "", ""


def run(subject: Subject, command: str, copy: Path, out: Path) -> Outcome:
    """Run a command of a subject in a child, in `copy`."""
    out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        _child(subject, command, copy, out)
    code, usage = _wait(child, start)
    seconds = time.perf_counter() - start
    stdout, stderr = (
        DURATION.sub("", (out / name).read_text(errors="replace")) for name in ("stdout", "stderr")
    )
    tables, report = subject.product(command, copy, out) if code == 0 else ("", "")
    shutil.rmtree(out)
    return Outcome(
        code=code, stdout=stdout, stderr=stderr, tables=tables, report=report,
        seconds=seconds, peak_mb=usage / 1024,
    )  # fmt: skip


def _child(subject: Subject, command: str, copy: Path, out: Path) -> None:
    """Run the command and end this process with its exit code."""
    code = 1
    try:
        for name, descriptor in (("stdout", 1), ("stderr", 2)):
            os.dup2(os.open(out / name, os.O_WRONLY | os.O_CREAT), descriptor)
        sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
        os.chdir(out)
        code = subject.run(command, copy, out)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _wait(child: int, start: float) -> tuple[int, float]:
    """Wait for a child, and kill it after the limit; its exit code or minus its signal, and its memory in KiB."""
    while True:
        done, status, usage = os.wait4(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status), usage.ru_maxrss
        if time.perf_counter() - start > LIMIT_S:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


if __name__ == "__main__":
    raise SystemExit(main())
