"""Where the record is kept: SQLite in the directory of the study, or a database by URL.

SQLite runs in WAL mode, so that others read while the driver writes, and every commit is synced to the disk.
It needs a local disk: its locks do not hold on NFS.
"""

from contextlib import suppress
from pathlib import Path

import sqlalchemy
from optuna.storages import RDBStorage
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from study_common.errors import UserError
from study_common.layout import RECORD_FILE

KINDS = {
    "sqlite": "copy the study again while no driver is running, or make room on its disk",
    "postgresql": "see that the server runs and takes this user and password (PGPASSWORD or ~/.pgpass)",
}
"""What databases there are, and what helps if one cannot be opened."""
DRIVERS = {"psycopg": "'psycopg[binary]'", "psycopg2": "psycopg2-binary"}
"""The packages of PostgreSQL's drivers that need no compiler; which is the default is SQLAlchemy's to say."""
BUSY_SECONDS = 20
"""How long a write waits for another process that has SQLite's lock."""


def check(url: str) -> None:
    """Raise ValueError unless `url` is "" or the URL of a database of a known kind whose driver is installed."""
    if not url:
        return
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
    kept = kept.difference_update_query([name for name in kept.query if name.endswith("password")])
    if kept.get_backend_name() == "sqlite" and kept.database:
        kept = kept.set(database=str(Path(kept.database).absolute()))
    return kept.render_as_string()


def url_in(directory: Path) -> str:
    """Return the URL of the record in the directory of a study."""
    return f"sqlite:///{(directory / RECORD_FILE).absolute()}"


def exists(url: str) -> bool:
    """Tell whether `connect` would find a database at `url`, and not make a file."""
    path = Path(_parse(url).database or "")
    return _parse(url).get_backend_name() != "sqlite" or (path.is_file() and path.stat().st_size > 0)


def connect(url: str) -> RDBStorage:
    """Open the database at `url`, making its tables if it has none; ValueError if it cannot be reached."""
    check(url)
    kind = _parse(url).get_backend_name()
    is_sqlite = kind == "sqlite"
    try:
        rdb = RDBStorage(
            url, engine_kwargs={"connect_args": {"timeout": BUSY_SECONDS}} if is_sqlite else None
        )
        if is_sqlite:
            with rdb.engine.connect() as connection:
                connection.execute(sqlalchemy.text("PRAGMA journal_mode=WAL"))
            rdb.engine.dispose()  # connections of before the switch, which would not take part in the log
    except SQLAlchemyError as error:
        reason = str(getattr(error, "orig", error)).strip().splitlines()[0]
        raise UserError(f"cannot open the record {public(url)}: {reason}; {KINDS[kind]}") from None
    return rdb


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
    try:
        return make_url(url)
    except ArgumentError:
        raise UserError(
            f"--storage {url!r} is no URL of a database; write one such as postgresql://user@host/database"
        ) from None
