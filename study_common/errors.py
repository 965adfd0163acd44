"""Errors in one sentence: where the fault is, what to do, and for a misspelt name the nearest valid one.

A `UserError` is for what the user can put right: a command prints its message as one line and exits with code 2.
Every other exception is a fault of this program: a command shows its traceback and exits with code 1.
"""

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
REMEDIES = {
    errno.ENAMETOOLONG: "choose a shorter path",
    errno.ELOOP: "remove the links that lead to each other",
    errno.EACCES: "change its permissions, or choose another path",
    errno.EPERM: "change its permissions, or choose another path",
    errno.EROFS: "choose another path",
    **dict.fromkeys(NO_ROOM, "free some space, or choose another path"),
}
"""What helps when a file or folder that the user chose cannot be used, by the number of the system's error."""
LONGEST = 80
"""Characters of a path that a message shows, its last ones."""


class UserError(ValueError):
    """Something that the user can put right; the message says what is wrong and how."""


class StudyWarning(UserWarning):
    """Something that a user should know although the work continues: a command prints its message as one line."""


class MissingPackageError(UserError, ModuleNotFoundError):
    """A package of an optional extra is not installed; the message says how to install it."""


class LinkError(UserError):
    """A file or folder that is to be written to is a link; the message names it."""


class ModelImportError(UserError):
    """The code of a model cannot be imported on this machine; the message says why."""


class NonFiniteError(RuntimeError):
    """A number that a training run needs is infinite or NaN; the message says which, and what to change."""


def cannot_use(error: OSError) -> UserError:
    """Build the error for a file or folder that cannot be used.

    >>> cannot_use(OSError(errno.ELOOP, "Too many levels of symbolic links", "runs"))
    UserError('cannot use runs: Too many levels of symbolic links; remove the links that lead to each other')
    """
    path = str(error.filename or "the disk")
    shown = path if len(path) <= LONGEST else f"...{path[-LONGEST:]}"
    remedy = REMEDIES.get(error.errno or 0, "choose another path")
    return UserError(f"cannot use {shown}: {error.strerror or error}; {remedy}")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the member of `valid` that is spelt most like `name` ("" if there is none).

    >>> nearest("lamda1", ["eta", "lambda1", "mask_ratio"])
    'lambda1'
    """
    return next(iter(get_close_matches(str(name), list(valid), n=1, cutoff=0.0)), "")


def unknown(what: str, name: object, valid: Iterable[str]) -> UserError:
    """Build the error for a `name` that is not one of the `valid` names of a `what`.

    >>> unknown("layer", "conv9", ["conv1", "fc1"])
    UserError("unknown layer 'conv9'; the nearest is 'conv1' (valid: conv1, fc1)")
    """
    valid = list(valid)
    if not valid:
        return UserError(f"unknown {what} {name!r}; there are none to choose from")
    return UserError(
        f"unknown {what} {name!r}; the nearest is {nearest(str(name), valid)!r} (valid: {', '.join(valid)})"
    )


def check_known(what: str, names: Iterable[str], valid: Iterable[str]) -> None:
    """Raise the UserError of `unknown` for the first of `names` that is not in `valid`."""
    valid = list(valid)
    for name in names:
        if name not in valid:
            raise unknown(what, name, valid)


def listed(names: Sequence[str], most: int = 5) -> str:
    """Return names as a message shows them: the first ones, and how many more there are.

    >>> listed(["lr", "seed"]), listed(["conv1", "conv2", "fc1", "fc2"], most=2)
    ('lr, seed', 'conv1, conv2 and 2 more')
    """
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put `where` in front of the message of a UserError raised in the block.

    >>> with located("[bits]"):
    ...     raise UserError("5 is not a valid bit-width")
    Traceback (most recent call last):
    study_common.errors.UserError: [bits]: 5 is not a valid bit-width
    """
    try:
        yield
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
