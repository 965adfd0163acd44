"""Tokens: the time at which one expires, and a signature of it by the key of the service.

Nothing is kept of them, so that a token works at once in a header and, after a login, in a cookie. To delete the key
makes all of them invalid.
"""

import hashlib
import hmac
import secrets
import time

DAY = 86_400


def issue(key: bytes, seconds: float, now: float | None = None) -> str:
    """Return a new token that is valid for `seconds`.

    >>> key = b"k" * 32
    >>> is_valid(issue(key, 60), key), is_valid(issue(key, -1), key), is_valid(issue(b"other", 60), key)
    (True, False, False)
    """
    expires = int((time.time() if now is None else now) + seconds)
    body = f"{expires}.{secrets.token_hex(8)}"
    return f"{body}.{_signature(key, body)}"


def is_valid(token: str, key: bytes, now: float | None = None) -> bool:
    """Tell whether `token` was issued with `key` and has not expired; the comparison takes a constant time."""
    return seconds_left(token, key, now) > 0


def seconds_left(token: str, key: bytes, now: float | None = None) -> int:
    """Return for how many seconds `token` is valid, 0 if it is not."""
    if not token.isascii():  # half a surrogate pair cannot even be encoded
        return 0
    body, _, signature = token.rpartition(".")
    known = hmac.compare_digest(signature.encode(), _signature(key, body).encode())
    expires = body.partition(".")[0]
    if not known or not expires.isdecimal():
        return 0
    return max(0, int(expires) - int(time.time() if now is None else now))


def _signature(key: bytes, body: str) -> str:
    return hmac.new(key, body.encode(), hashlib.sha256).hexdigest()
