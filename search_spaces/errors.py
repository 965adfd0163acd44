"""Errors in one sentence: where the fault is, and for a misspelt name the nearest valid one."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return the member of `valid` that is spelt most like `name` ("" if there is none).

    >>> nearest("lamda1", ["eta", "lambda1", "mask_ratio"])
    'lambda1'
    """
    return next(iter(get_close_matches(str(name), list(valid), n=1, cutoff=0.0)), "")


def unknown(what: str, name: object, valid: Iterable[str]) -> ValueError:
    """Build the error for a `name` that is not one of the `valid` names of a `what`.

    >>> unknown("layer", "conv9", ["conv1", "fc1"])
    ValueError("unknown layer 'conv9'; the nearest is 'conv1' (valid: conv1, fc1)")
    """
    valid = list(valid)
    if not valid:
        return ValueError(f"unknown {what} {name!r}; there are none to choose from")
    return ValueError(
        f"unknown {what} {name!r}; the nearest is {nearest(str(name), valid)!r} (valid: {', '.join(valid)})"
    )


def check_known(what: str, names: Iterable[str], valid: Iterable[str]) -> None:
    """Raise the ValueError of `unknown` for the first of `names` that is not in `valid`."""
    valid = list(valid)
    for name in names:
        if name not in valid:
            raise unknown(what, name, valid)


@contextmanager
def located(where: str) -> Iterator[None]:
    """Put `where` in front of the message of a ValueError raised in the block.

    >>> with located("[bits]"):
    ...     raise ValueError("5 is no bit-width")
    Traceback (most recent call last):
    ValueError: [bits]: 5 is no bit-width
    """
    try:
        yield
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
