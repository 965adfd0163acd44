"""Output that cannot fail: if stdout or stderr can no longer be written to, the work continues without it.

The reader of a pipe may leave, a disk may fill up, a terminal may close, stdout may be closed from the start or support
only ASCII. None of these is a reason to end a study that trains for hours.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

SILENT_WAIT_S = 10.0
"""Seconds that a command waits before it says for what."""


class TolerantStream:
    """A text stream that drops what cannot be written, and replaces characters that its encoding lacks.

    >>> import io
    >>> narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    >>> stream = TolerantStream(narrow)
    >>> stream.write("naïve"), stream.flush(), narrow.buffer.getvalue()
    (5, None, b'na?ve')
    >>> TolerantStream(None).write("nobody reads this")
    17
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write `text` if that is possible, and return its length in any case."""
        if self._stream is not None:
            encoding = self._stream.encoding or "utf-8"
            try:
                self._stream.write(text.encode(encoding, "replace").decode(encoding))
            except (OSError, ValueError):  # ValueError: it is closed
                self._give_up()
        return len(text)

    def flush(self) -> None:
        """Write what is buffered, if that is possible."""
        if self._stream is not None:
            try:
                self._stream.flush()
            except (OSError, ValueError):
                self._give_up()

    def isatty(self) -> bool:
        """Tell whether the stream is a terminal."""
        with suppress(OSError, ValueError):
            return self._stream is not None and self._stream.isatty()
        return False

    @property
    def encoding(self) -> str:
        """Encoding of the underlying stream."""
        return (self._stream and self._stream.encoding) or "utf-8"

    def fileno(self) -> int:
        """Return the descriptor; OSError if there is none."""
        if self._stream is None:
            raise OSError("there is no stream")
        return self._stream.fileno()

    def _give_up(self) -> None:
        assert self._stream is not None
        discard(self._stream)
        self._stream = None


def discard(stream: Any) -> None:
    """Send what `stream` still holds, and whatever else is written to it, to the null device.

    Otherwise Python writes its buffer once more when the process ends, and ends with exit code 120.
    """
    with suppress(OSError, ValueError, AttributeError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def reserve_standard_descriptors() -> None:
    """Open the null device in place of a closed stdin, stdout or stderr.

    Otherwise the next file that is opened gets its number, and a library that prints writes into that file: it may be
    the record. Libraries also expect `sys.stdout` and `sys.stderr` to exist.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
    sys.stdout = sys.stdout or open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = sys.stderr or open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def say(line: str, *, error: bool = False) -> None:
    """Print one line on stdout, or on stderr, if that is possible.

    Control characters are shown as "?", so that a name from a copied file cannot drive a terminal.
    """
    stream = TolerantStream(sys.stderr if error else sys.stdout)
    stream.write(printable(line) + "\n")
    stream.flush()


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say after `SILENT_WAIT_S` seconds that this still waits for `what`, unless the block has ended by then."""
    timer = threading.Timer(SILENT_WAIT_S, say, [f"waiting {what}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def show(line: str) -> None:
    """Print one line of a command's result, without control characters: names in it may come from a copied study."""
    print(one_line(line))


def one_line(text: str) -> str:
    r"""Return `text` with each control character replaced by "?", newline and tab too.

    >>> one_line("s\nstudy t (complete)")
    's?study t (complete)'
    """
    return printable(text).replace("\n", "?").replace("\t", "?")


def printable(text: str) -> str:
    r"""Return `text` with each control character but newline and tab replaced by "?".

    >>> printable("red \x1b[31m, bell \x07")
    'red ?[31m, bell ?'
    """
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)
