"""How the commands of every room end on bad input: one line on stderr that starts with "error:", and exit code 2."""

import argparse
import sys
from collections.abc import Callable
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """The parser of `python -m <command>`."""

    def __init__(self, command: str, description: str | None) -> None:
        super().__init__(prog=f"python -m {command}", description=description)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the usage, and exit."""
        self.exit(2, _line(f"{message}; see {self.prog} --help"))


def exit_code(action: Callable[[], int | None]) -> int:
    """Run `action` and return its code, None as 0; 2 after telling its ValueError, 130 after Ctrl-C."""
    try:
        return action() or 0
    except ValueError as error:
        sys.stderr.write(_line(str(error)))
        return 2
    except KeyboardInterrupt:
        return 130


def _line(message: str) -> str:
    return f"error: {' '.join(message.split())}\n"
