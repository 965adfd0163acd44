"""How commands are parsed and how they end: on bad input with one line on stderr, "error: ...", and exit code 2.

A fault of this program ends a command with its traceback and exit code 1.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import NoReturn, TextIO

from study_common.errors import REMEDIES, MissingPackageError, StudyWarning, UserError, cannot_use
from study_common.output import discard, reserve_standard_descriptors, say


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
            "--runs-dir",
            type=os.path.expanduser,
            default="runs",
            help="the directory of all studies (default: %(default)s)",
        )


def add_record_options(parser: argparse.ArgumentParser, *, ray: bool = True) -> None:
    """Add the options that locate a running Ray and a record outside the study's directory."""
    parser.add_argument(
        "--storage",
        default="",
        metavar="URL",
        help="the database with the record of a study that was not launched here",
    )
    if ray:
        parser.add_argument(
            "--address", default="", metavar="RAY", help="address of a running Ray to join, or 'auto'"
        )


def exit_code(action: Callable[[], int | None]) -> int:
    """Run a command and return the exit code of the process.

    When the reader of a pipe leaves early, as `head` does, the rest is discarded and the code is the shell's, 141. When
    stdout cannot be written to for another reason, such as a full disk, that is a UserError.

    Args:
        action: What the command does; it returns an exit code, or None for 0.

    Returns:
        The code of `action`; 2 after printing its UserError, or that a path cannot be used; 130 after Ctrl-C.
    """
    reserve_standard_descriptors()
    warnings.showwarning = _show_warning
    try:
        _check_folder()
        code = action() or 0
        _flush()
        return code
    except UserError as error:
        tell(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        discard(sys.stdout)
        return 141
    except OSError as error:
        if error.errno not in REMEDIES:
            raise
        tell(str(cannot_use(error)))
        return 2


def _check_folder() -> None:
    """Raise UserError where the current folder was deleted: libraries end the process there with words of their own."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise UserError("the current folder was deleted; change into another one") from None


def _flush() -> None:
    if sys.stdout is None:  # closed by the shell
        return
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        discard(sys.stdout)
        raise UserError(f"stdout cannot be written to ({error.strerror}); send it elsewhere") from None


def needs(module: str, extra: str = "study") -> None:
    """Check that a package of an optional extra is installed.

    Args:
        module: What is imported.
        extra: The extra of this project that installs it.

    Raises:
        MissingPackageError: It is not installed.
        SystemExit: It is not installed, and Python runs a command: the error is printed in one line.
    """
    if find_spec(module):
        return
    error = MissingPackageError(f"this needs {module}; install it with pip install 'sgt-pact-study[{extra}]'")
    if sys.argv[0] == "-m":  # Python imports the packages above the module that it is to run
        tell(str(error))
        raise SystemExit(2)
    raise error


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a `StudyWarning` as one line, without the place in the code; any other as Python does."""
    if issubclass(category, StudyWarning):
        say(f"warning: {message}", error=True)
    else:
        say(warnings.formatwarning(message, category, filename, lineno, line).rstrip(), error=True)


def tell(message: str) -> None:
    """Print in one line on stderr what is wrong."""
    say(f"error: {' '.join(message.split())}", error=True)
