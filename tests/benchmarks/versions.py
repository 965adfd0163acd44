"""The training step beside itself at commit 179e111, and beside the bfloat16 products of its own layers."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Self

import torch

from trainables.training.optimiser import has_bfloat16

OLD = "179e111"
ROOT = Path(__file__).parents[2]


class Stepper:
    """A process of `one_step` on the code of one tree."""

    def __init__(self, tree: Path, model: str, side: int, batch: int) -> None:
        script = Path(__file__).with_name("one_step.py")
        self._process = subprocess.Popen(
            [sys.executable, script, model, str(side), str(batch)],
            cwd=tree, env={**os.environ, "PYTHONPATH": str(tree)}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True,
        )  # fmt: skip
        self.useful = self._read()["useful"]

    def ask(self, word: str) -> Any:
        """Return the answer to `step` or `products`."""
        assert self._process.stdin
        self._process.stdin.write(f"{word}\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the process of a step ended; its error is above"
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()


@contextmanager
def old_tree() -> Iterator[Path]:
    """Check commit 179e111 out, in a worktree of git that is removed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder, OLD)
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", "--detach", tree, OLD], check=True)
        try:
            yield tree
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", tree], check=True)


def compare(model: str, side: int, batch: int, rounds: int) -> dict[str, float]:
    """Step both versions and the products in turn, in CPU seconds; medians, and medians of the ratios of a round."""
    with ExitStack() as stack:
        old = stack.enter_context(Stepper(stack.enter_context(old_tree()), model, side, batch))
        new = stack.enter_context(Stepper(ROOT, model, side, batch))
        times, peaks = [], []
        for number in range(rounds):
            pair = (new, old) if number % 2 else (old, new)
            taken = {stepper: stepper.ask("step") for stepper in pair}
            times.append((taken[new], taken[old]))
            peaks.append(max(new.ask("products")))
    figures = {
        "step_cpu_ms": 1000 * statistics.median(ours for ours, _ in times),
        f"step_{OLD}_cpu_ms": 1000 * statistics.median(theirs for _, theirs in times),
        f"step_over_{OLD}": statistics.median(ours / theirs for ours, theirs in times),
    }
    if has_bfloat16(torch.device("cpu")):
        shares = [new.useful / ours / peak for (ours, _), peak in zip(times, peaks, strict=True)]
        figures["bf16_peak_gflops"] = statistics.median(peaks) / 1e9
        figures["useful_flops_over_bf16_peak"] = statistics.median(shares)
    else:
        print("useful_flops_over_bf16_peak: void, this processor has no bfloat16")
    return figures if model == "paper_cnn" else {f"{model} {name}": value for name, value in figures.items()}


def processor() -> str:
    """The name of this machine's processor, and the instructions for bfloat16 that it has."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    facts = dict(line.split(":", 1) for line in lines if ":" in line)
    named = {name.strip(): value.strip() for name, value in facts.items()}
    flags = sorted({"amx_bf16", "avx512_bf16"} & set(named.get("flags", "").split()))
    return f"{named.get('model name', 'unknown processor')} ({', '.join(flags) or 'no bfloat16'})"
