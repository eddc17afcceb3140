"""From `database.url` to an engine whose connections are set up as each database wants them."""

from __future__ import annotations

import math
import os
import sqlite3
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError

from digestd.errors import StoreUnavailable
from digestd.store.outage import cause

_TCP_USER_TIMEOUT_MILLISECONDS = 6_000
_POOL_TIMEOUT_SECONDS = 6.0
_SQLITE_BUSY_TIMEOUT_SECONDS = 5.0

_BEGIN = "sqlite_begin"


def database_url(text: str) -> URL:
    """Read `database.url`. `postgres://` and `postgresql://` mean psycopg 3.

    `StoreUnavailable` for what is no URL, no database digestd keeps to, or SQLite in memory: a different
    empty database in every connection.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreUnavailable(
            "database.url cannot be read: write it like sqlite:////var/lib/digestd/digestd.db "
            "or postgresql://user:password@host/name"
        ) from error
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        return url.set(drivername="postgresql+psycopg")
    if url.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise StoreUnavailable(
            f"database.url names {url.drivername!r}: digestd keeps its data in sqlite or postgresql"
        )
    if not url.database or url.database == ":memory:" or url.database.startswith("file:"):
        raise StoreUnavailable(
            "database.url names SQLite in memory or by URI: name a file, like sqlite:////var/lib/digestd/digestd.db"
        )
    return url.set(drivername="sqlite")


def create(
    url: URL,
    *,
    pool_size: int,
    connect_timeout_seconds: float,
    driver_options: Mapping[str, Any] = MappingProxyType({}),
) -> Engine:
    """Make the engine for `url`, as :func:`database_url` gives it; nothing is connected yet.

    SQLite gets one connection, whatever `pool_size` is. PostgreSQL's driver gets `driver_options`, too. Errors of the
    engine never show the values of rows.
    `StoreUnavailable` when the directory or file of a
    SQLite database cannot be made, or when PostgreSQL's driver is missing.
    """
    if url.get_backend_name() == "sqlite":
        return _create_sqlite(url)
    return _create_postgres(url, pool_size, connect_timeout_seconds, driver_options)


def for_looking(url: URL, *, connect_timeout_seconds: float) -> Engine:
    """An engine for one look at a database that is there: of SQLite not even the journal mode is changed."""
    if url.get_backend_name() == "sqlite":
        # Quoted: to SQLite it is a URI, in which ?, # and % have meanings of their own (sqlite.org/uri.html).
        path = quote(str(file_of(url).absolute()))
        looking = URL.create("sqlite", database=f"file:{path}", query={"mode": "ro", "uri": "true"})
        return create_engine(looking, pool_size=1, hide_parameters=True)
    return _create_postgres(url, 1, connect_timeout_seconds, {})


def file_of(url: URL) -> Path:
    """The file of the SQLite database at `url`."""
    assert url.database is not None
    return Path(url.database)


def folder_of(url: str) -> Path | None:
    """The folder of the SQLite database at `url` (`database.url`); None for a database that is elsewhere."""
    database = database_url(url)
    return file_of(database).parent if database.get_backend_name() == "sqlite" else None


def reading(engine: Engine) -> Engine:
    """The same engine for transactions that only read: on SQLite they do not wait for the one that writes."""
    return engine.execution_options(**{_BEGIN: "BEGIN"})


def exclusive(engine: Engine) -> Engine:
    """The same engine for transactions that on SQLite nobody else may write beside, whatever its journal
    mode."""
    return engine.execution_options(**{_BEGIN: "BEGIN EXCLUSIVE"})


def _create_postgres(
    url: URL, pool_size: int, connect_timeout_seconds: float, driver_options: Mapping[str, Any]
) -> Engine:
    # Not with the module, as it brings the driver: 0.05 s at every start that SQLite has no use for.
    from digestd.store import session

    given = str(url.query.get("options", ""))
    arguments: dict[str, Any] = {
        "connect_timeout": max(1, math.ceil(connect_timeout_seconds)),
        "tcp_user_timeout": _TCP_USER_TIMEOUT_MILLISECONDS,
        "application_name": url.query.get("application_name", "digestd"),
        # Against a database in SQL_ASCII the driver would give bytes for text, before we can refuse it in words.
        "client_encoding": "utf8",
        "options": session.options(given),
        # Lists vary in length: prepared statements would pile up, and poolers in between do not all know
        # them.
        "prepare_threshold": None,
        **driver_options,
    }
    bare = url.difference_update_query(["options", "application_name"])
    try:
        engine = create_engine(
            bare,
            connect_args=arguments,
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=_POOL_TIMEOUT_SECONDS,
            hide_parameters=True,
        )
    except (ImportError, NoSuchModuleError) as error:
        raise StoreUnavailable(f"the driver for postgresql cannot be loaded: {cause(error)}") from error
    session.set_up(engine)
    return engine


def _create_sqlite(url: URL) -> Engine:
    path = file_of(url)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _create_private(path)
    except OSError as error:
        raise StoreUnavailable(
            f"the database file {path} cannot be made: {error.strerror}; name another in database.url "
            "or make its directory writable"
        ) from error
    # isolation_level None is the driver's autocommit: it never begins, and never commits, behind our back.
    arguments = {"isolation_level": None, "timeout": _SQLITE_BUSY_TIMEOUT_SECONDS}
    engine = create_engine(url, connect_args=arguments, pool_size=1, max_overflow=0, hide_parameters=True)
    event.listen(engine, "connect", _set_up_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _create_private(path: Path) -> None:
    """Make the file ourselves, readable by its owner only; SQLite gives its side files the same mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        if not os.access(path, os.R_OK | os.W_OK):
            raise PermissionError(0, "it is there, but not to be read and written by this user") from None
    else:
        give_to_owner_of_folder(path)


def give_to_owner_of_folder(path: Path) -> None:
    """Where root made the database `path`, let it belong to whom its folder belongs: to the user of a service, which
    could not open it otherwise. Raises OSError where the file system does not let it."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid, follow_symlinks=False)


def _set_up_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA foreign_keys=ON")


def _use_wal(connection: sqlite3.Connection) -> None:
    """Several that open a new file at once are refused without waiting, whatever the busy time-out says."""
    deadline = time.monotonic() + _SQLITE_BUSY_TIMEOUT_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a transaction that begins by reading and then writes is refused at once, without waiting,
    # when another has written in between.
    connection.exec_driver_sql(connection.get_execution_options().get(_BEGIN, "BEGIN IMMEDIATE"))
