"""The command line of a launch: its parser, read off the fields of `Spec`, and the line as it is kept."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any

from study.planning.spec import Spec
from study.store.options import Flag, Options, flags, typed
from study_common.commands import StudyParser
from study_common.errors import UserError


def parse(module: str, description: str, argv: Sequence[str] | None) -> tuple[Spec, bool]:
    """Read the command line of `module`: what is asked, and whether as a --dry-run."""
    parser = StudyParser(module, description)
    add_options(parser, Spec)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the space, the range of costs and a time estimate"
    )
    given = vars(parser.parse_args(argv))
    dry_run = given.pop("dry_run")
    given["fixed"] = dict(given.get("fixed", ()))
    return Spec(**given, command=command(module, argv, given.get("storage", ""))), dry_run


def add_options(parser: argparse.ArgumentParser, options: type) -> None:
    """Add the flag of each field of `options` to `parser`, those of the class itself before those it inherits.

    What is not given is left out of what the parser returns, so that the defaults of the fields hold.
    """
    defaults = {each.name: each.default for each in fields(options)}
    required = {
        each.name for each in fields(options) if each.default is MISSING and each.default_factory is MISSING
    }
    for name, of in sorted(flags(options).items(), key=lambda item: item[0] in flags(Options)):
        if defaults[name] is False:
            parser.add_argument(
                typed(name, of), dest=name, action="store_true", default=argparse.SUPPRESS, help=of.help
            )
            continue
        parser.add_argument(
            typed(name, of),
            dest=name,
            required=name in required,
            default=argparse.SUPPRESS,
            type=_parsing(of),
            action="append" if of.repeated else "store",
            metavar=of.metavar or name.rpartition("_")[2].upper(),
            help=_help(of, defaults[name]),
        )


def command(module: str, argv: Sequence[str] | None, url: str = "") -> str:
    """Return the command line as a user would type it again, the storage `url` without its password.

    >>> command("study.launch", ["--storage", "postgresql://me:secret@db/studies"], "postgresql://me:secret@db/studies")
    'python -m study.launch --storage postgresql://me@db/studies'
    """
    words = sys.argv[1:] if argv is None else argv
    if url:
        from study.store.database import public  # SQLAlchemy and Optuna: only if it is needed

        words = [word.replace(url, public(url)) for word in words]
    return shlex.join(["python", "-m", module, *words])


def _parsing(of: Flag) -> Callable[[str], Any]:
    """Return the `type` of an argparse argument, which turns a `UserError` into an error of the command line."""

    def parsed(text: str) -> Any:
        try:
            return of.parse(text)
        except UserError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parsed.__name__ = of.parse.__name__  # argparse names it: invalid int value
    return parsed


def _help(of: Flag, default: Any) -> str:
    text = f"{of.help}: {', '.join(of.choices)}" if of.choices else of.help
    shown = isinstance(default, str | int) and default != "" and "default:" not in text
    return (f"{text} (default: {default})" if shown else text).replace("%", "%%")
