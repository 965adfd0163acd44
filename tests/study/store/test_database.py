"""Where the record is kept: which URLs are taken, and what is opened, made and left behind."""

import os
import socket
import sqlite3
import threading
from contextlib import closing, suppress
from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import URL, make_url

from study.store import database
from study.store.database import (
    NoTablesError,
    check,
    check_typed,
    close,
    connect,
    exists,
    file_url,
    has_password,
    public,
    url_in,
)
from study_common.errors import StudyWarning, UserError
from study_common.layout import RECORD_FILE

WORD = st.text("abcXYZ019%/?#@:é &=", min_size=1, max_size=8)


@given(password=WORD, in_query=st.booleans())
def test_a_password_is_seen_and_left_out_wherever_it_is(password: str, in_query: bool) -> None:
    bare = URL.create("postgresql", username="me", host="db", database="studies")
    url = bare.update_query_dict({"sslpassword": password}) if in_query else bare.set(password=password)
    typed = url.render_as_string(hide_password=False)
    assert has_password(typed)
    assert public(typed) == "postgresql://me@db/studies"
    assert not has_password(public(typed))


@given(st.lists(WORD.filter(lambda word: "/" not in word), min_size=1, max_size=3))
def test_the_url_of_a_file_leads_to_the_file(parts: list[str]) -> None:
    path = Path("/", *parts)
    assert make_url(file_url(path)).database == str(path)
    assert public(file_url(path)) == file_url(path)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "is not the URL of a database"),
        ("postgresql://me:secret@db:port/studies", "is not the URL of a database"),
        (
            "mysql://me:secret@db/studies",
            r"--storage mysql://me@db/studies is of no known kind; use sqlite or",
        ),
        ("sqlite://", "keeps nothing; leave it out, or name a file"),
        ("sqlite:///:memory:", "keeps nothing"),
        ("postgresql+pgsql://me@db/studies", "leave the driver out"),
        ("postgresql+pg8000://me@db/studies", "needs pg8000, which is not installed; pip install pg8000"),
    ],
)
def test_what_is_no_database_for_a_record_is_told_with_the_remedy(url: str, says: str) -> None:
    with pytest.raises(UserError, match=says) as rejected:
        check(url)
    assert "secret" not in str(rejected.value)


def test_a_typed_password_is_warned_of_and_not_shown() -> None:
    with pytest.warns(StudyWarning, match="put it into PGPASSWORD or ~/.pgpass") as warned:
        check_typed("postgresql+psycopg://me:s3cret@db/studies")
    assert "s3cret" not in str(warned[0].message)
    check_typed("postgresql+psycopg://me@db/studies")  # warnings are errors
    check_typed("")
    check_typed("sqlite:///studies.db")


def test_a_record_in_the_directory_and_one_elsewhere_are_taken(tmp_path: Path) -> None:
    for url in ("", url_in(tmp_path), "postgresql+psycopg://me@db/studies"):
        check(url)
    assert public("") == ""
    assert not has_password("")


def test_a_database_is_there_once_it_holds_something(tmp_path: Path) -> None:
    url = url_in(tmp_path)
    assert not exists(url)
    (tmp_path / RECORD_FILE).touch()
    assert not exists(url), "a launch that was cut short"
    close(connect(url, new=True))
    assert exists(url)
    assert exists("postgresql://me@nowhere/studies"), "a server is only known by connecting to it"


def test_a_record_survives_its_connection_and_is_one_file(tmp_path: Path) -> None:
    rdb = connect(url_in(tmp_path), new=True)
    optuna.create_study(storage=rdb, study_name="s").set_user_attr("kept", [1, 2])
    with closing(sqlite3.connect(tmp_path / RECORD_FILE)) as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",), "others read while it is written"
    close(rdb)
    assert [path.name for path in tmp_path.iterdir()] == [RECORD_FILE]
    rdb = connect(url_in(tmp_path))
    assert optuna.load_study(storage=rdb, study_name="s").user_attrs == {"kept": [1, 2]}
    close(rdb)


def test_tables_are_made_for_a_new_record_only(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / RECORD_FILE)) as theirs:
        theirs.execute("create table books (title text)")
        theirs.commit()
    before = (tmp_path / RECORD_FILE).read_bytes()
    with pytest.raises(NoTablesError, match="has no records of studies; name another --storage"):
        connect(url_in(tmp_path))
    assert (tmp_path / RECORD_FILE).read_bytes() == before


@pytest.mark.parametrize(
    "harm", ["no SQLite file", "cut short", "overwritten inside", "overwritten at the end"]
)
def test_a_damaged_record_is_told_and_stays_as_it_is(harm: str, tmp_path: Path) -> None:
    file = tmp_path / RECORD_FILE
    close(connect(url_in(tmp_path), new=True))
    content = bytearray(file.read_bytes())
    if harm == "overwritten inside":
        content[5000:20000] = b"x" * 15000
    if harm == "overwritten at the end":  # which nothing reads that only opens it
        content[-4096:] = b"x" * 4096
    file.write_bytes({"no SQLite file": b"x" * 5000, "cut short": content[:50000]}.get(harm, content))
    damaged = file.read_bytes()
    with pytest.raises(UserError, match="copy the study again while no driver is running") as rejected:
        connect(url_in(tmp_path))
    assert "\n" not in str(rejected.value)
    assert file.read_bytes() == damaged


def test_a_record_of_another_version_of_optuna_names_the_upgrade(tmp_path: Path) -> None:
    close(connect(url_in(tmp_path), new=True))
    with closing(sqlite3.connect(tmp_path / RECORD_FILE)) as record:
        record.execute("update alembic_version set version_num = 'v0.9.0.a'")
        record.execute("update version_info set schema_version = 1")
        record.commit()
    with pytest.raises(
        UserError, match=r"another version of Optuna .*; upgrade it with optuna storage upgrade"
    ):
        connect(url_in(tmp_path))


def test_a_server_that_does_not_answer_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "CONNECT_SECONDS", 2)
    with pytest.raises(UserError, match="see that the server runs") as rejected:
        connect("postgresql+psycopg://me:secret@127.0.0.1:1/studies")
    assert "secret" not in str(rejected.value)


@pytest.mark.parametrize(
    "said", [b"", b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I"], ids=["before the login", "after the login"]
)
def test_a_server_that_takes_the_connection_and_is_silent_is_told(
    said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the login nothing ended the wait."""
    monkeypatch.setattr(database, "ANSWER_SECONDS", 1)
    taken: list[socket.socket] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                taken.append(connection := listening.accept()[0])
                while b"user" not in (asked := connection.recv(4096)) and asked:
                    connection.sendall(b"N")  # no encryption
                connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=serve, daemon=True).start()
        url = f"postgresql+psycopg://me:secret@127.0.0.1:{listening.getsockname()[1]}/studies"
        for new in (False, True):
            with pytest.raises(
                UserError, match="has not answered for 1 s; see that the server runs"
            ) as rejected:
                connect(url, new=new)
            assert "secret" not in str(rejected.value)
        for connection in taken:
            connection.close()


def test_what_is_no_file_is_no_record_that_is_missing(tmp_path: Path) -> None:
    """A status told of a study without trials."""
    assert not exists(file_url(tmp_path / "study.db"))
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "study.db")
    for name in ("folder", "pipe", "link"):
        with pytest.raises(UserError, match="is not a file; copy the study again"):
            exists(file_url(tmp_path / name))
