"""What stands before every request: whose host it names, which page sends it, who asks, how much and how often."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response

from study.service import tokens
from study.service.settings import Settings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

MAX_BODY = 64 * 2**10
"""Bytes of the body of a request."""
BODY_SECONDS = 20.0
"""How long a body may take to arrive."""
MAX_ADDRESSES = 1024
"""Clients whose rates are remembered."""

SAFE = ("GET", "HEAD")
OPEN = ("/login", "/static/")
"""Paths that need no token anywhere."""
API = "/api/"

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every response that does not set its own."""

_POLICY = (
    "default-src 'none'; script-src {script}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
POLICY = _POLICY.format(script="'self'")
FIGURES_POLICY = _POLICY.format(script="'self' 'unsafe-eval'")
"""Of pages with figures: plotly.js makes the code of its 3-D scenes as it draws."""


def cookie_name(port: int) -> str:
    """Return the name of the cookie that holds a token; browsers send it to every port of a host."""
    return f"sgt_pact_{port}"


@dataclass
class Rate:
    """How often each client may ask: `per_second` on average, `burst` at once."""

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def allows(self, client: str, now: float | None = None) -> bool:
        """Count one request of `client`, and tell whether it may be answered.

        >>> rate = Rate(per_second=1.0, burst=2)
        >>> [rate.allows("me", now=second) for second in (0, 0, 0, 1)]
        [True, True, False, True]
        """
        now = time.monotonic() if now is None else now
        left, then = self._left.pop(client, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.per_second)
        self._left[client] = (left - (left >= 1), now)
        if len(self._left) > MAX_ADDRESSES:
            self._left.popitem(last=False)
        return left >= 1


class Guard:
    """The ASGI application around the service's own.

    Args:
        app: What answers the requests that pass.
        settings: Of the service.
        key: What signs its tokens.
    """

    def __init__(self, app: App, settings: Settings, key: bytes) -> None:
        self._app = app
        self._settings = settings
        self._key = key
        self._reads = Rate(per_second=500, burst=1000)
        self._changes = Rate(per_second=1, burst=30)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        scope["has_token"] = self._has_token(headers)
        refusal = self._refusal(scope, headers)
        body: Message = {"type": "http.request", "body": b"", "more_body": False}
        if refusal is None and scope["method"] not in SAFE:
            try:
                body["body"] = await asyncio.wait_for(_body(receive), BODY_SECONDS)
            except TimeoutError:
                refusal = _refused(408, "the body of the request did not arrive in time")
            except OverflowError:
                refusal = _refused(413, f"a request holds at most {MAX_BODY >> 10} KiB")
        given = [body]

        async def replay() -> Message:
            return given.pop() if given else await receive()

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = MutableHeaders(scope=message)
                for name, value in {**HEADERS, "Content-Security-Policy": POLICY}.items():
                    own.setdefault(name, value)
            await send(message)

        await (refusal or self._app)(scope, replay, guarded)

    def _has_token(self, headers: Headers) -> bool:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return tokens.is_valid(token.strip(), self._key)
        cookies = cookie_parser(headers.get("cookie", ""))
        return tokens.is_valid(cookies.get(cookie_name(self._settings.port), ""), self._key)

    def _refusal(self, scope: MutableMapping[str, Any], headers: Headers) -> Response | None:
        """Return the answer to a request that does not pass, None for one that does."""
        is_read, path = scope["method"] in SAFE, scope["path"]
        client = scope["client"][0] if scope.get("client") else ""
        if not self._reads.allows(client) or not (is_read or self._changes.allows(client)):
            return _refused(429, "too many requests; wait a little", {"Retry-After": "5"})
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._settings.is_known_host(_host(hosts[0])):
            return _refused(400, "this service does not go by that name; start it with --allow-host NAME")
        if not is_read and not _is_same_site(headers, hosts[0]):
            return _refused(403, "a page of another site may not send this")
        is_open = path.startswith(OPEN) or (is_read and self._settings.is_local)
        if scope["has_token"] or is_open:
            return None
        if is_read and not path.startswith(API):
            return RedirectResponse("/login", status_code=303)
        return _refused(
            401, "this needs a valid token: Authorization: Bearer TOKEN", {"WWW-Authenticate": "Bearer"}
        )


async def _body(receive: Receive) -> bytes:
    """Return the whole body; OverflowError if it is too large."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY:
            raise OverflowError
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)


def _is_same_site(headers: Headers, host: str) -> bool:
    """Tell whether a request that changes something comes from our own page, or from no page at all."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    if origin is None:
        return "cookie" not in headers  # a browser names the origin; other programs send a token in a header
    return urlsplit(origin).netloc.lower() == host.lower()


def _host(header: str) -> str:
    """Return the name in a Host header, without the port.

    >>> _host("localhost:8000"), _host("[::1]:8000"), _host("127.0.0.1")
    ('localhost', '[::1]', '127.0.0.1')
    """
    name, colon, port = header.rpartition(":")
    return name if colon and port.isdecimal() and (name.endswith("]") or ":" not in name) else header


def _refused(status: int, why: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": why}, status_code=status, headers=headers)
