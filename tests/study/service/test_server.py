"""A real server on a real port: no client holds it, streams follow a study, and it ends when it is told to."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from study.service import server
from study.service.server import _listener
from study_common import layout
from study_common.errors import UserError

SERVER = """
import sys
from pathlib import Path
from study.service import events, server
from tests.study.service.conftest import settings_of

server.STALLED_S = 2.0
events.INTERVAL_S = 0.1
server.serve(settings_of(Path(sys.argv[1]), port=0), token_days=1)
"""


@pytest.fixture
def address(runs: Path) -> Iterator[tuple[str, int]]:
    """Where a service of a process of its own listens."""
    words = [sys.executable, "-c", SERVER, str(runs)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        first = process.stdout.readline()
        assert first.startswith("serving "), first + process.stdout.read()
        assert str(runs / ".service" / "token") in process.stdout.readline()
        yield "127.0.0.1", int(first.strip().rstrip("/").rpartition(":")[2])
        process.terminate()
        rest = process.stdout.read()
        assert process.wait(60) == -signal.SIGTERM
        assert rest == ""  # nothing that a client sends is logged


def get(address: tuple[str, int], path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    with contextlib.closing(connection):
        return answer.status, answer.read()


def test_clients_that_do_not_read_or_do_not_ask_hold_nothing(address: tuple[str, int]) -> None:
    ask = b"GET /static/plotly.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with socket.create_connection(address) as unread, socket.create_connection(address) as silent:
        _both_are_dropped(address, ask, unread, silent)
    assert get(address, "/api/session")[0] == 200


def _both_are_dropped(
    address: tuple[str, int], ask: bytes, unread: socket.socket, silent: socket.socket
) -> None:
    unread.sendall(ask * 8)  # 38 MB of answers, more than the buffers of both ends hold
    started = time.monotonic()
    assert get(address, "/api/session")[0] == 200
    assert time.monotonic() - started < 2
    silent.settimeout(10)
    with contextlib.suppress(ConnectionResetError):
        assert silent.recv(1) == b""  # closed
    assert time.monotonic() - started < 8
    time.sleep(2)  # its time is up too
    unread.settimeout(10)
    received = 0
    with contextlib.suppress(ConnectionResetError):
        while part := unread.recv(2**20):
            received += len(part)
    assert received < 20_000_000  # what the buffers held: it was dropped


def test_a_stream_says_how_the_study_stands_and_what_becomes_of_it(
    address: tuple[str, int], runs: Path
) -> None:
    connection = http.client.HTTPConnection(*address, timeout=30)
    connection.request("GET", "/api/studies/sample/events")
    stream = connection.getresponse()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.headers["cache-control"] == "no-store"

    def following(is_it: Callable[[dict[str, str]], bool]) -> dict[str, str]:
        while line := stream.readline().decode():
            if line.startswith("data: ") and is_it(found := json.loads(line.removeprefix("data: "))):
                return found
        raise AssertionError("the stream has ended")

    first = following(lambda _: True)
    assert (first["state"], first["problem"]) == ("interrupted", "")
    record = runs / "sample" / layout.RECORD_FILE
    record.rename(runs / "kept.db")
    assert "study.db is missing" in following(lambda event: event["problem"] != "")["problem"]
    (runs / "kept.db").rename(record)
    assert following(lambda event: event["problem"] == "")["state"] == "interrupted"
    connection.close()


def test_a_port_in_use_is_said() -> None:
    with _listener("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} is in use"):
            _listener("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("no.such.host.invalid", "cannot be found"),
        ("192.0.2.1", "cannot listen"),
        (".", "cannot be found"),
        ("a" * 300, "cannot be found"),
        ("x\udcff", "cannot be found"),
    ],
)
def test_an_address_that_is_not_ours_is_said(host: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        _listener(host, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen at every port")
def test_a_port_of_the_system_is_said() -> None:
    with pytest.raises(UserError, match="above 1023"):
        _listener("127.0.0.1", 80)


def test_both_ends_of_a_stall_are_timed() -> None:
    assert 5 <= server.STALLED_S <= 120
