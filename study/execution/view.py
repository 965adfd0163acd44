"""What the terminal shows of a running study: a live table on a terminal, plain lines elsewhere.

Everything that a study prints goes through here, and none of it can fail: see `study_common.output`.
"""

import sys
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from rich.console import Console
from rich.live import Live
from rich.table import Table

from study.execution.progress import Progress
from study.store.directory import resume_command
from study.store.request import Request
from study_common.layout import LOG_FILE, REPORT_FILE, TRIALS_DIR
from study_common.output import TolerantStream, printable

QUIET_S = 60.0
"""Seconds after which a plain line is printed although no trial has paused or ended."""
REASONS = 5
"""Reasons of failed trials that are shown."""


class View:
    """Opens with what runs, follows the figures, ends with what to do next."""

    def __init__(self, request: Request, directory: Path) -> None:
        stream = TolerantStream(sys.stdout)
        watched = stream.isatty()  # rich's own test follows FORCE_COLOR, which does not make a log a terminal
        self._console = Console(
            file=cast(IO[str], stream), force_terminal=watched, highlight=False, soft_wrap=True
        )
        live = watched and not self._console.is_dumb_terminal
        self._live = Live(console=self._console, auto_refresh=False) if live else None
        self._request = request
        self._directory = directory
        self._tried = -1
        self._next = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.stop()

    def say(self, line: str) -> None:
        """Print one line."""
        self._console.print(printable(line), markup=False)
        self._console.file.flush()

    def begin(self, dashboard: str) -> None:
        """Say what runs and where to watch it; `dashboard` is the URL of Ray's, if it has one."""
        request = self._request
        self.say(
            f"study {request.name}: {request.attainable} trials of up to {request.epochs} epochs, "
            f"{f'{request.replicates} of them replicates, ' if request.replicates else ''}"
            f"{request.sampler} + {request.scheduler}, in {self._directory}"
        )
        if dashboard:
            self.say(f"Ray dashboard: {dashboard} (log in with the token that `ray get-auth-token` prints)")

    def show(self, progress: Progress) -> None:
        """Show the figures: at once on a terminal, else when a trial pauses or ends, or after `QUIET_S`."""
        if self._live:
            if not self._live.is_started:
                self._live.start()
            self._live.update(_table(progress), refresh=True)
        elif progress.tried != self._tried or time.monotonic() > self._next:
            self._line(progress)

    def end(self, reason: str, progress: Progress | None) -> None:
        """Show the last figures, why trials failed, how the study ended and how to continue it."""
        if progress and self._live:
            self._live.update(_table(progress), refresh=True)
        if self._live:
            self._live.stop()
        elif progress:
            self._line(progress)
        if progress and len(progress.failures):
            self._failures(progress, progress.failures.lines())
        if reason:
            self.say(f"{reason}; continue with: {resume_command(self._directory)}")
        if (report := self._directory / REPORT_FILE).exists():
            self.say(f"report: {report}")

    def _line(self, progress: Progress) -> None:
        self._tried, self._next = progress.tried, time.monotonic() + QUIET_S
        self.say(", ".join(f"{name} {value}" for name, value in figures(progress).items()))

    def _failures(self, progress: Progress, reasons: Sequence[str]) -> None:
        logs = self._directory / TRIALS_DIR / "NUMBER" / LOG_FILE
        self.say(f"{len(progress.failures)} of {progress.states.total()} trials failed ({logs} says more):")
        for line in reasons[:REASONS]:
            self.say(f"  {line}")
        if len(reasons) > REASONS:
            self.say(f"  and {len(reasons) - REASONS} other reasons")


def figures(progress: Progress) -> dict[str, str]:
    """Return the figures that a line or table about a study shows, by caption."""
    states = {state: count for state, count in progress.states.items() if count}
    return {
        "trials": f"{progress.tried}/{max(progress.trials, progress.states.total())}",
        **{state: str(count) for state, count in states.items()},
        **{f"rejected as {why}": str(count) for why, count in progress.rejected.items() if count},
        "front": str(progress.front),
        "hypervolume": f"{progress.hypervolume:.4f}{_why_zero(progress)}",
        "epochs/s": f"{progress.epochs_per_second:.2f}",
        "ETA": _clock(progress.eta) if progress.eta is not None else "-",
    }


def _why_zero(progress: Progress) -> str:
    """The report and `results.front` name the objective."""
    vanished = progress.front and not progress.hypervolume
    return " (an objective was never better than its reference)" if vanished else ""


def _table(progress: Progress) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for caption, value in figures(progress).items():
        table.add_row(caption, value)
    for objective, best in progress.best.items():
        table.add_row(f"best {objective}", f"{best:.4g}")
    return table


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
