"""What the terminal shows of a running study: a live table on a TTY, plain lines elsewhere."""

import time
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table

from study.execution.progress import Progress
from study.store.directory import resume_command
from study.store.request import Request
from study_common.layout import REPORT_FILE

EVERY = 15.0
"""Seconds between plain lines when no trial ends."""


class View:
    """Opens with what runs, follows the figures, ends with what to do next."""

    def __init__(self, request: Request, directory: Path) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._request = request
        self._directory = directory
        self._done = -1
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
        self._console.print(line, markup=False)

    def begin(self, dashboard: str) -> None:
        """Say what runs and where to watch it; `dashboard` is the URL of Ray's, if it has one."""
        request = self._request
        self.say(
            f"study {request.name}: {request.attainable} trials of up to {request.epochs} epochs, "
            f"{request.sampler} + {request.scheduler}, in {self._directory}"
        )
        if dashboard:
            self.say(f"Ray dashboard: {dashboard} (log in with the token that `ray get-auth-token` prints)")

    def show(self, progress: Progress) -> None:
        """Show the figures: at once on a TTY, else when a trial changed its state or nothing was said for long."""
        if self._live:
            if not self._live.is_started:
                self._live.start()
            self._live.update(_table(progress), refresh=True)
        elif progress.tried != self._done or time.monotonic() > self._next:
            self._done, self._next = progress.tried, time.monotonic() + EVERY
            self.say(", ".join(f"{name} {value}" for name, value in figures(progress).items()))

    def end(self, reason: str, progress: Progress | None) -> None:
        """Say how it ended and how to go on."""
        if self._live:
            self._live.stop()
        if progress and not self._live:
            self.say(", ".join(f"{name} {value}" for name, value in figures(progress).items()))
        if reason:
            self.say(f"{reason}; continue with: {resume_command(self._directory)}")
        if (report := self._directory / REPORT_FILE).exists():
            self.say(f"report: {report}")


def figures(progress: Progress) -> dict[str, str]:
    """Return what a line or a table about a study says, by caption."""
    states = {state: count for state, count in progress.states.items() if count}
    return {
        "trials": f"{progress.tried}/{max(progress.trials, progress.states.total())}",
        **{state: str(count) for state, count in states.items()},
        **{f"rejected as {why}": str(count) for why, count in progress.rejected.items() if count},
        "front": str(progress.front),
        "hypervolume": f"{progress.hypervolume:.4f}",
        "epochs/s": f"{progress.epochs_a_second:.2f}",
        "ETA": _clock(progress.eta) if progress.eta is not None else "-",
    }


def _table(progress: Progress) -> Table:
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    for caption, value in figures(progress).items():
        table.add_row(caption, value)
    for objective, best in progress.best.items():
        table.add_row(f"best {objective}", f"{best:.4g}")
    return table


def _clock(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
