"""Listening: one socket, one process, and no client that holds it."""

import asyncio
import errno
import socket
import sys
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from study.service import tokens
from study.service.app import application
from study.service.settings import Settings
from study.service.workplace import Workplace
from study_common.errors import UserError
from study_common.output import say

STALLED_S = 30.0
"""Seconds after which a client is dropped that does not read what was sent to it, or does not send its request."""
MAX_CONNECTIONS = 512
SWITCH_S = 0.0005
"""Seconds that a thread keeps others waiting: readers are answered while figures are made."""


class PatientProtocol(H11Protocol):
    """HTTP/1.1 that drops a client which stops reading, or which connects and sends no request."""

    _stalled: asyncio.TimerHandle | None = None
    _silent: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Wait for a request, but not without end."""
        super().connection_made(transport)
        self._silent = self.loop.call_later(STALLED_S, self._drop_silent)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the client."""
        super().connection_lost(exc)
        for timer in (self._stalled, self._silent):
            if timer:
                timer.cancel()

    def pause_writing(self) -> None:
        """Wait for the client to read, but not without end."""
        super().pause_writing()
        self._stalled = self.loop.call_later(STALLED_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Go on: it reads."""
        super().resume_writing()
        if self._stalled:
            self._stalled.cancel()

    def _drop_silent(self) -> None:
        if self.cycle is None:  # its first request has not come
            self.transport.abort()


def serve(settings: Settings, token_days: float) -> None:
    """Serve until a signal comes.

    Raises:
        UserError: The directory or the port cannot be had.
    """
    workplace = Workplace(settings.runs_dir)
    listener = _listener(settings.host, settings.port)
    port = listener.getsockname()[1]
    settings = settings.at(port)
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown}:{port}/"
    with listener, workplace.held(address):
        workplace.keep_token(tokens.issue(workplace.key(), token_days * tokens.DAY))
        server = uvicorn.Server(_config(settings, workplace))
        _tell(settings, workplace, address, token_days)
        sys.setswitchinterval(SWITCH_S)
        server.config.app = application(settings, workplace, lambda: server.should_exit)
        server.run(sockets=[listener])


def _config(settings: Settings, workplace: Workplace) -> uvicorn.Config:
    return uvicorn.Config(
        app=lambda *_: None,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=3,
        h11_max_incomplete_event_size=32 * 2**10,
    )


def _listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens; UserError if the port is in use or the address is not this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError) as error:  # of what is no name at all it is a UnicodeError
        reason = getattr(error, "strerror", None) or "it is no name of a machine"
        raise UserError(
            f"--host {host} cannot be found ({reason}); give an address of this machine"
        ) from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise UserError(f"port {port} is in use; choose another with --port, such as --port 0") from None
        if error.errno == errno.EACCES:
            raise UserError(f"port {port} is for the system's own services; choose one above 1023") from None
        raise UserError(f"cannot listen at {host}:{port} ({error.strerror}); choose another --host") from None
    return listener


def _tell(settings: Settings, workplace: Workplace, address: str, token_days: float) -> None:
    say(f"serving {settings.runs_dir.resolve()} at {address}")
    say(f"the token to log in with is in {workplace.token_file.resolve()}, for {token_days:g} days")
    if not settings.is_local:
        say(
            f"warning: everybody who reaches {settings.host} sees the login, and the token travels as it is; put a "
            "proxy with TLS in front, or listen at 127.0.0.1 and use ssh -L",
            error=True,
        )
