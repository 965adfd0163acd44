"""The watch over Ray's control service: a server that answers, one that is gone, and the end of the process."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from study.execution import gcs_watch
from study.execution.gcs_watch import GcsWatch

REMEDY = "python -m study.resume s"


@pytest.fixture(autouse=True)
def _short_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gcs_watch, "INTERVAL_S", 0.02)
    monkeypatch.setattr(gcs_watch, "SILENT_S", 0.5)


@pytest.fixture
def server() -> Iterator[socket.socket]:
    """A service that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


def address(server: socket.socket) -> str:
    return f"127.0.0.1:{server.getsockname()[1]}"


def holds_within(seconds: float, condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(condition())


def test_a_service_that_answers_is_not_lost(server: socket.socket) -> None:
    with GcsWatch(address(server), REMEDY) as watch:
        for _ in range(40):
            server.accept()[0].close()
        assert watch.lost == ""


def test_a_service_that_is_gone_is_named_after_a_while(server: socket.socket) -> None:
    where = address(server)
    with GcsWatch(where, REMEDY) as watch:
        server.accept()[0].close()
        server.close()
        assert watch.lost == "", "not at once"
        assert holds_within(10, lambda: watch.lost)
        assert f"Ray's control service at {where} has not answered for" in watch.lost


def test_a_service_that_returns_is_not_lost_any_more(server: socket.socket) -> None:
    host, port = server.getsockname()
    server.close()
    with GcsWatch(f"{host}:{port}", REMEDY) as watch:
        assert holds_within(10, lambda: watch.lost)
        with socket.create_server((host, port)):
            assert holds_within(10, lambda: not watch.lost)


def test_a_driver_that_was_frozen_itself_does_not_blame_the_service(server: socket.socket) -> None:
    """It took its own silence for that of the service, and did not say that another driver had taken its study."""
    program = (
        "import sys, time; from study.execution import gcs_watch as w; w.INTERVAL_S = 0.02; w.SILENT_S = 0.5\n"
        f"with w.GcsWatch({address(server)!r}, {REMEDY!r}) as watch:\n"
        "    print('watching', flush=True)\n"
        "    for _ in range(300): sys.stdout.write(watch.lost); time.sleep(0.005)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    server.listen(1000)
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
    ) as child:
        assert child.stdout
        assert child.stdout.readline() == "watching\n"
        child.send_signal(signal.SIGSTOP)
        time.sleep(1)
        child.send_signal(signal.SIGCONT)
        assert child.communicate()[0] == ""


def test_the_watch_ends_with_its_context(server: socket.socket) -> None:
    with GcsWatch(address(server), REMEDY) as watch:
        assert watch._thread.is_alive()
    assert not watch._thread.is_alive()


def test_a_process_whose_service_stays_away_ends_and_says_how_to_continue(server: socket.socket) -> None:
    where = address(server)
    server.close()
    program = (
        "import time; from study.execution import gcs_watch as w; w.INTERVAL_S = 0.02; w.SILENT_S = 0.1; "
        f"w.GIVE_UP_S = 0.2; w.GcsWatch({where!r}, {REMEDY!r}).__enter__(); time.sleep(60)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment)
    assert ended.returncode == 1
    assert f"{where} has not answered" in ended.stdout
    assert ended.stdout.endswith(f"; continue with: {REMEDY}\n")
