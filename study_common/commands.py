"""How commands are parsed and how they end: on bad input with one line on stderr, "error: ...", and exit code 2.

A fault of this program ends a command with its traceback and exit code 1.
"""

import argparse
import os
import sys
from collections.abc import Callable
from importlib.util import find_spec
from typing import NoReturn

from study_common.errors import MissingPackageError, UserError


class Parser(argparse.ArgumentParser):
    """The parser of `python -m <command>`."""

    def __init__(self, command: str, description: str | None) -> None:
        super().__init__(prog=f"python -m {command}", description=description)

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, without the usage, and exit."""
        tell(f"{message}; see {self.prog} --help")
        self.exit(2)


class StudyParser(Parser):
    """The parser of a command about studies: it knows `--runs-dir`."""

    def __init__(self, command: str, description: str | None) -> None:
        super().__init__(command, description)
        self.add_argument(
            "--runs-dir", default="runs", help="the directory of all studies (default: %(default)s)"
        )


def exit_code(action: Callable[[], int | None]) -> int:
    """Run `action` and return its code, None as 0; 2 after printing its UserError, 130 after Ctrl-C.

    Who reads our output may leave early, as `head` does: then the rest goes nowhere, and the code is the shell's, 141.
    """
    try:
        code = action() or 0
        sys.stdout.flush()
        return code
    except UserError as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush when Python ends
        return 141


def needs(module: str) -> None:
    """Raise `MissingPackageError`, or end a `python -m` in one line, if `module` is missing."""
    if find_spec(module):
        return
    error = MissingPackageError(f"this needs {module}; install it with pip install 'sgt-pact-study[study]'")
    if sys.argv[0] == "-m":  # Python imports the packages above the module that it is to run
        tell(str(error))
        raise SystemExit(2)
    raise error


def tell(message: str) -> None:
    """Say in one line on stderr what is wrong."""
    print(f"error: {' '.join(message.split())}", file=sys.stderr)
