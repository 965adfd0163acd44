"""Values that are made when what they are made of has changed, by one thread at a time, and kept for all others."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

T = TypeVar("T")

REST = 2.0
"""After a value was made, the next is made after this many times as long: readers, not changes, have the CPU."""


@dataclass(frozen=True, kw_only=True)
class Version(Generic[T]):
    """A value, and which of its kind it is."""

    number: int
    value: T
    signature: Any
    rests_until: float


class Kept(Generic[T]):
    """One value per name.

    Whoever asks while another thread makes a new value gets the one before, if there is one, and does not wait.

    Args:
        signature: Returns what a value is made of, given its name and the one before: equal ones make the same.
        make: Returns the value of a name.
    """

    def __init__(self, signature: Callable[[str, T | None], Any], make: Callable[[str], T]) -> None:
        self._signature = signature
        self._make = make
        self._versions: dict[str, Version[T]] = {}
        self._locks: dict[str, threading.Lock] = {}

    def get(self, name: str) -> Version[T]:
        """Return the value of `name`: of now, or of a moment ago while the next one is made."""
        old = self._versions.get(name)
        signature = self._signature(name, old.value if old else None)
        if old and (old.signature == signature or time.monotonic() < old.rests_until):
            return old
        lock = self._locks.setdefault(name, threading.Lock())
        if not lock.acquire(blocking=old is None):
            assert old
            return old
        try:
            return self._made(name, signature)
        finally:
            lock.release()

    def _made(self, name: str, signature: Any) -> Version[T]:
        old = self._versions.get(name)
        if old and old.signature == signature:  # made while this thread waited
            return old
        start = time.monotonic()
        value = self._make(name)
        now = time.monotonic()
        if self._signature(name, old.value if old else None) == signature:  # nothing changed meanwhile
            signature = self._signature(name, value)
        new = self._versions[name] = Version(
            number=old.number + 1 if old else 1,
            value=value,
            signature=signature,
            rests_until=now + REST * (now - start),
        )
        return new
