"""Where the record is kept: SQLite in the directory of the study, or a database by URL.

SQLite runs in WAL mode, so that others read while the driver writes, and every commit is synced to the disk.
It needs a local disk: its locks do not hold on NFS.
"""

import os
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from study_common.errors import StudyWarning, UserError
from study_common.layout import RECORD_FILE
from study_common.output import say

KINDS = {
    "sqlite": "copy the study again while no driver is running, or make room on its disk",
    "postgresql": "see that the server runs and takes this user and password (PGPASSWORD or ~/.pgpass)",
}
"""What databases there are, and what helps if one cannot be opened."""
DRIVERS = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary"}
"""The packages of PostgreSQL's drivers that need no compiler; which is the default is SQLAlchemy's to say."""


class NoTablesError(UserError):
    """A database lacks the tables of a record: it is another program's, or a launch was killed while it made them."""


_TABLES = {"studies", "trials", "version_info", "alembic_version"}
"""The tables of a database that Optuna made: when all are there, opening it changes nothing."""
CONNECT_SECONDS = 10
"""How long a server may take to take a connection."""
ANSWER_SECONDS = 30
"""How long a server that takes the connection may take to answer a first question, for which drivers have no limit."""
RESTART_SECONDS = 60
"""How long a driver waits for a server that it was connected to: it may be restarted while a study runs."""
BUSY_SECONDS = 20
"""How long a write waits for another process that has SQLite's lock."""


def check(url: str) -> None:
    """Check that a record can be kept at `url`; "" is the directory of the study.

    Raises:
        UserError: It is not a URL, keeps nothing, or is of an unknown kind or one whose driver is not installed.
    """
    if not url:
        return
    if _parse(url).get_backend_name() == "sqlite" and _parse(url).database in (None, "", ":memory:"):
        raise UserError(f"--storage {url} keeps nothing; leave it out, or name a file: sqlite:///studies.db")
    if _parse(url).get_backend_name() not in KINDS:
        raise UserError(
            f"--storage {public(url)} is of no known kind; use {' or '.join(KINDS)}, such as "
            "postgresql://user@host/database"
        )
    try:
        _parse(url).get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        raise UserError(f"--storage {public(url)}: {error}; leave the driver out") from None
    except ImportError as error:
        package = DRIVERS.get(str(error.name), error.name)
        raise UserError(
            f"--storage {public(url)} needs {error.name}, which is not installed; pip install {package}"
        ) from None


def public(url: str) -> str:
    """Return `url` as it is kept: without its password, which nothing of ours writes to disk; a file's path absolute.

    >>> public("postgresql://me:secret@db/studies"), public("postgresql://me@db/studies?password=secret")
    ('postgresql://me@db/studies', 'postgresql://me@db/studies')
    """
    if not url:
        return ""
    kept = _parse(url)._replace(password=None)
    kept = kept.difference_update_query(_passwords(kept))
    if kept.get_backend_name() == "sqlite" and kept.database:
        kept = kept.set(database=str(Path(kept.database).absolute()))
    return kept.render_as_string()


def url_in(directory: Path) -> str:
    """Return the URL of the record in the directory of a study."""
    return file_url(directory / RECORD_FILE)


def file_url(path: Path) -> str:
    """Return the URL of a SQLite file, whatever characters its path has.

    >>> file_url(Path("/tmp/what?/{x}.db"))
    'sqlite:////tmp/what%3F/%7Bx%7D.db'
    """
    return URL.create("sqlite", database=str(path.absolute())).render_as_string()


def has_password(url: str) -> bool:
    """Tell whether `url` has a password in it."""
    return bool(url) and bool(_parse(url).password is not None or _passwords(_parse(url)))


def _passwords(url: URL) -> list[str]:
    """Return the names in the query of `url` that give a password."""
    return [name for name in url.query if name.endswith("password")]


def check_typed(url: str) -> None:
    """Check as `check` what a user typed as --storage, and warn of a password in it."""
    check(url)
    if has_password(url):
        warnings.warn(
            "others can read the password in --storage, in the list of processes and in Ray's list of jobs; put it "
            "into PGPASSWORD or ~/.pgpass",
            StudyWarning,
            stacklevel=2,
        )


def exists(url: str) -> bool:
    """Tell whether `connect` would find a database at `url`, and not make a file.

    Raises:
        UserError: Something else is in its place: a folder, a pipe, a link to nothing.
    """
    if _parse(url).get_backend_name() != "sqlite":
        return True
    path = Path(_parse(url).database or "")
    if os.path.lexists(path) and not path.is_file():
        raise UserError(f"{path} is not a file; {KINDS['sqlite']}")
    return path.is_file() and path.stat().st_size > 0


def connect(url: str, *, new: bool = False) -> RDBStorage:
    """Open the database at `url`.

    Args:
        url: Of the record, with its password.
        new: Whether tables are made in a database that has none.

    Returns:
        The storage, which `close` closes.

    Raises:
        UserError: It cannot be reached in `CONNECT_SECONDS`, is silent for `ANSWER_SECONDS`, is damaged, holds no
            records, or those of another version of Optuna.
    """
    check(url)
    kind = _parse(url).get_backend_name()
    is_sqlite = kind == "sqlite"
    options = {"connect_args": _connect_args(kind, _parse(url))}
    lasting = {} if is_sqlite else {"pool_pre_ping": True}  # a connection of before a restart is replaced
    try:
        if not is_sqlite:
            _check_answer(url, options)
        if not new:
            _check_tables(url, options)
        rdb = RDBStorage(
            _parse(url).render_as_string(hide_password=False),
            engine_kwargs=options | lasting,
            skip_table_creation=not new,
        )
        if is_sqlite:
            with rdb.engine.connect() as connection:
                connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
            rdb.engine.dispose()  # connections of before the switch, which would not take part in the log
        else:
            sqlalchemy.event.listen(rdb.engine, "do_connect", _Restart(public(url)).connection)
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        remedy = (
            "name a file in a folder that you can write to" if "unable to open" in reason else KINDS[kind]
        )
        raise UserError(f"cannot open the record {public(url)}: {reason}; {remedy}") from None
    except RuntimeError as error:  # Optuna's, for a schema of another version
        raise UserError(
            f"the record {public(url)} was written with another version of Optuna "
            f"({str(error).splitlines()[0]}); upgrade it with optuna storage upgrade --storage {public(url)}"
        ) from None
    return rdb


class _Restart:
    """Waits for a server that is being restarted, whenever the pool of an open record needs a new connection.

    All threads share one wait. After `RESTART_SECONDS` each attempt fails at once, until one does not.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._gone_since: float | None = None

    def connection(self, dialect: Any, _: Any, arguments: Any, options: Any) -> Any:
        """Return a connection of the driver; its OperationalError if there is none in time."""
        while True:
            try:
                connection = dialect.connect(*arguments, **options)
            except dialect.dbapi.OperationalError:
                if self._gone_since is None:
                    self._gone_since = time.monotonic()
                    say(f"the database {self._url} is gone; waiting up to {RESTART_SECONDS} s for it")
                elif time.monotonic() - self._gone_since > RESTART_SECONDS:
                    raise
                time.sleep(0.5)
            else:
                self._gone_since = None
                return connection


def _connect_args(kind: str, url: URL) -> dict[str, Any]:
    if kind == "sqlite":
        return {"timeout": BUSY_SECONDS}
    return {"connect_timeout": CONNECT_SECONDS} if "connect_timeout" not in url.query else {}


def _check_answer(url: str, options: dict[str, Any]) -> None:
    """Ask a server for a number, in a thread, which a silent one may keep without end.

    Raises:
        UserError: It says nothing.
        SQLAlchemyError: It cannot be reached, or refuses.
    """
    faults: list[SQLAlchemyError] = []

    def ask() -> None:
        engine = sqlalchemy.create_engine(_parse(url), **options)
        try:
            with engine.connect() as connection:
                connection.execute(sqlalchemy.text("SELECT 1"))
        except SQLAlchemyError as error:
            faults.append(error)
        finally:
            engine.dispose()

    asking = threading.Thread(target=ask, name="database", daemon=True)
    asking.start()
    asking.join(ANSWER_SECONDS)
    if asking.is_alive():
        raise UserError(
            f"the database {public(url)} has not answered for {ANSWER_SECONDS} s; {KINDS['postgresql']}"
        )
    if faults:
        raise faults[0]


def _check_tables(url: str, options: dict[str, Any]) -> None:
    """Raise UserError if the database, which is only read, is damaged or was not made by Optuna."""
    engine = sqlalchemy.create_engine(_parse(url), **options)
    try:
        with engine.connect() as connection:
            if engine.dialect.name == "sqlite":
                found = connection.execute(sqlalchemy.text("PRAGMA quick_check(1)")).scalar()
                if found != "ok":
                    reason = " ".join(str(found).split())  # SQLite writes several lines
                    raise UserError(f"the record {public(url)} is damaged ({reason}); {KINDS['sqlite']}")
            if not set(sqlalchemy.inspect(connection).get_table_names()) >= _TABLES:
                raise NoTablesError(
                    f"the database {public(url)} has no records of studies; name another --storage"
                )
    finally:
        engine.dispose()


def close(rdb: RDBStorage) -> None:
    """Leave a SQLite database as one file, without `-wal` and `-shm` beside it, and close the connections.

    On a full disk the `-wal` stays, and the next connection reads it.
    """
    if rdb.engine.dialect.name == "sqlite":
        with suppress(SQLAlchemyError), rdb.engine.connect() as connection:
            connection.execute(sqlalchemy.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    rdb.scoped_session.remove()
    rdb.engine.dispose()


def _parse(url: str) -> URL:
    """Return the parts of `url`; the "~" of a file's path is the home of the user, which no shell expands there."""
    try:
        parts = make_url(url)
        if parts.get_backend_name() == "sqlite" and (parts.database or "").startswith("~"):
            parts = parts.set(database=os.path.expanduser(str(parts.database)))
        return parts
    except (ArgumentError, ValueError):  # ValueError: of the port
        kind, between, rest = url.partition("://")
        shown = (
            f"{kind}{between}...@{rest.rpartition('@')[2]}" if "@" in rest else url
        )  # a password may be before it
        raise UserError(
            f"--storage {shown!r} is not the URL of a database; write one such as postgresql://user@host/database"
        ) from None
