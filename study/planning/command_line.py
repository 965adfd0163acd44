"""The command line of a launch: its parser, read off the fields of `Spec`, and the line as it is kept."""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import MISSING, fields
from typing import Any, NamedTuple

from study.planning.spec import Spec
from study.store.options import Flag, Options, flags, typed
from study_common.commands import StudyParser
from study_common.errors import UserError


class Asked(NamedTuple):
    """A command line."""

    spec: Spec
    dry_run: bool
    submit: str
    """The address of the Ray that is to run the driver; "" for this process."""


def parse(module: str, description: str, argv: Sequence[str] | None) -> Asked:
    """Read the command line of `module`."""
    parser = StudyParser(module, description)
    add_options(parser, Spec)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the space, the range of costs and a time estimate"
    )
    parser.add_argument(
        "--submit",
        default="",
        metavar="http://HEAD:8265",
        help="let that Ray run the driver, as a job, so that it does not end with this machine",
    )
    given = vars(parser.parse_args(argv))
    dry_run, to = given.pop("dry_run"), given.pop("submit")
    for flag, repeated in (("--set", "fixed"), ("--init-set", "init_settings")):
        given[repeated] = _each_once(flag, given.get(repeated, ()))
    return Asked(Spec(**given, command=command(module, argv)), dry_run, to)


def _each_once(flag: str, given: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in given]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"{flag} {twice[0]} is given more than once; give it once")
    return dict(given)


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


def command(module: str, argv: Sequence[str] | None) -> str:
    """Return the command line as a user would type it again, without the passwords of --storage.

    >>> command("study.launch", ["--storage", "postgresql://me:secret@db/studies", "--trials=8"])
    'python -m study.launch --storage postgresql://me@db/studies --trials=8'
    """
    words: list[str] = []
    for word in sys.argv[1:] if argv is None else argv:
        flag, equals, value = word.partition("=")
        if words and _is_storage(words[-1]):
            words.append(_without_password(word))
        elif equals and _is_storage(flag):
            words.append(f"{flag}={_without_password(value)}")
        else:
            words.append(word)
    return shlex.join(["python", "-m", module, *words])


def _is_storage(word: str) -> bool:
    """Whether argparse takes a word for --storage: written out or cut short."""
    return len(word) > 2 and "--storage".startswith(word)


def _without_password(url: str) -> str:
    """Return a URL, which a later one may have replaced unread, without its password; "..." if it is no URL."""
    from study.store.database import public  # SQLAlchemy and Optuna: only if it is needed

    try:
        return public(url)
    except UserError:
        return "..."


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
