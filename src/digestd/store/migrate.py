"""Bring the database's schema up to this digestd's, once, under a lock."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from digestd.errors import SchemaError
from digestd.store.engine import exclusive
from digestd.store.outage import masked
from digestd.store.patience import patient
from digestd.store.schema import metadata

REVISIONS = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008", "0009")
"""Every revision of the history, oldest first; a test holds it to the modules under `migrations/versions`."""

_HISTORY = Path(__file__).with_name("migrations")
_LOCK_KEY = int.from_bytes(b"digestd")


def migrate(engine: Engine) -> None:
    """Bring the schema behind `engine` up to the newest of :data:`REVISIONS`. Blocks; run it in a thread.

    Of several processes that start at once one migrates, and the others wait for it. `SchemaError` when the
    database is of a newer digestd, holds somebody else's tables, or cannot hold all text: then nothing was
    changed. Errors of the database (`sqlalchemy.exc.SQLAlchemyError`) escape as they are; what was begun is
    rolled back.
    """
    with engine.connect() as connection:
        if revision(connection) == REVISIONS[-1]:
            return
    with exclusive(engine).begin() as connection:
        _lock(connection)
        found = revision(connection)
        if found is None:
            _check_encoding(connection)
        if found != REVISIONS[-1]:
            _upgrade(connection)


def _check_encoding(connection: Connection) -> None:
    if connection.dialect.name != "postgresql":
        return
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise SchemaError(
            f"the database {masked(connection.engine.url)} keeps text as {encoding}, in which most of the world's "
            "cannot be written: make it anew with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0"
        )


def _lock(connection: Connection) -> None:
    """SQLite holds the lock since BEGIN EXCLUSIVE. Whoever waits for another's long migration waits for
    minutes."""
    if connection.dialect.name == "postgresql":
        patient(connection)
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def revision(connection: Connection) -> str | None:
    """The revision that the database is at, None for an empty one; `SchemaError` when it is not ours or newer.

    Asked without Alembic, whose import is slow.
    """
    tables = inspect(connection).get_table_names()
    database = masked(connection.engine.url)
    found = None
    if "alembic_version" in tables:
        found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()
    if found is None and (foreign := sorted(metadata.tables.keys() & set(tables))):
        raise SchemaError(
            f"the database {database} has a table {foreign[0]!r} that digestd did not make: "
            "give digestd a database of its own in database.url"
        )
    if found is not None and found not in REVISIONS:
        raise SchemaError(
            f"the database {database} is at revision {found!r}, and this digestd knows only up to "
            f"{REVISIONS[-1]!r}: install the newer digestd that wrote it"
        )
    return found


def check_current(connection: Connection) -> None:
    """`SchemaError` unless the database is at the newest of :data:`REVISIONS`."""
    found = revision(connection)
    if found != REVISIONS[-1]:
        stands = "has no tables of digestd's" if found is None else f"is at revision {found!r}"
        raise SchemaError(
            f"the database {masked(connection.engine.url)} {stands}, and this digestd needs {REVISIONS[-1]!r}: "
            "start digestd anew, and it is brought up to date"
        )


def _upgrade(connection: Connection) -> None:
    # Only here: importing Alembic takes a quarter of a second, and most starts find nothing to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_HISTORY).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
