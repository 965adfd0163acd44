"""A PostgreSQL server of a test's own, made from the programs on this machine, on a free port of 127.0.0.1."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PASSWORD = "s3cret"


def programs() -> Path | None:
    """Return the folder of pg_ctl and initdb; None if PostgreSQL is not installed."""
    found = shutil.which("pg_ctl") or max(
        map(str, Path("/usr/lib/postgresql").glob("*/bin/pg_ctl")), default=None
    )
    return Path(found).resolve().parent if found else None


@dataclass(frozen=True)
class Server:
    """A server with the files in `home`; the user `me` has `PASSWORD` and the database `postgres`."""

    programs: Path
    home: Path
    port: int

    @property
    def url(self) -> str:
        """The URL of the database, with the password."""
        return f"postgresql+psycopg://me:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    @property
    def bare_url(self) -> str:
        """The URL without the password."""
        return self.url.replace(f":{PASSWORD}", "")

    def make(self) -> None:
        """Make its files."""
        (self.home / "password").write_text(PASSWORD)
        self._run("initdb", "-D", self.home / "data", "-U", "me", "-A", "scram-sha-256", "--no-sync",
                  f"--pwfile={self.home / 'password'}")  # fmt: skip

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        options = f"-p {self.port} -k {self.home} -c listen_addresses=127.0.0.1"
        self._run("pg_ctl", "-D", self.home / "data", "-w", "-l", self.home / "log", "-o", options, "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it: `fast` ends all connections, `immediate` is a crash."""
        self._run("pg_ctl", "-D", self.home / "data", "-w", "-m", mode, "stop")

    def _run(self, program: str, *words: object) -> None:
        """Run a program as a user that PostgreSQL accepts: never root."""
        user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*user, str(self.programs / program), *map(str, words)]
        subprocess.run(command, check=True, capture_output=True, cwd="/")


@contextmanager
def running() -> Iterator[Server]:
    """Run an empty server; without PostgreSQL the test is skipped, or fails where .ci/run has installed it."""
    found = programs()
    if found is None:
        assert not os.environ.get("TESTS_NEED_POSTGRESQL"), "PostgreSQL was installed and is not found"
        pytest.skip("no PostgreSQL on this machine: apt-get install postgresql")
    home = Path(tempfile.mkdtemp(prefix="study-postgresql-", dir="/tmp"))  # a socket's path has to be short
    home.chmod(0o777)
    server = Server(found, home, _free_port())
    try:
        server.make()
        server.start()
        try:
            yield server
        finally:
            if (home / "data" / "postmaster.pid").exists():
                server.stop("immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
