"""How a database stands before it is opened, in words."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError

from digestd.errors import StoreUnavailable
from digestd.store.engine import database_url, file_of, for_looking
from digestd.store.migrate import REVISIONS, revision
from digestd.store.outage import cause, masked


def is_made(url: str) -> bool:
    """Whether the database at `url` (`database.url`) may hold anything: False where it is an SQLite file that is not
    there yet. Raises StoreUnavailable as :func:`is_there`, and where `url` names no database."""
    database = database_url(url)
    return database.get_backend_name() != "sqlite" or is_there(file_of(database))


def check_store(url: str, *, connect_timeout_seconds: float) -> str:
    """Say in words how the database at `url` stands, without changing it or making a file.

    `StoreUnavailable` or `SchemaError` where :func:`open_store` would raise them. Blocks, up to the connect time-out.
    """
    if not is_made(url):
        return "not there yet; it is created at the first start"
    engine = for_looking(database_url(url), connect_timeout_seconds=connect_timeout_seconds)
    try:
        with engine.connect() as connection:
            found = revision(connection)
    except DBAPIError as error:
        raise cannot_open(engine, error) from error
    finally:
        engine.dispose()
    if found is None:
        return "reachable and empty; its tables are created at the first start"
    newest = found == REVISIONS[-1]
    return (
        "reachable, its schema is current"
        if newest
        else "reachable; its schema is brought up to date at the first start"
    )


def is_there(path: Path) -> bool:
    """Whether there is a file at `path`. Raises StoreUnavailable where nobody may look."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise StoreUnavailable(
            f"the database file {path} cannot be looked at: {error.strerror}; "
            "let this user into its directory or name another in database.url"
        ) from error
    return True


def cannot_open(engine: Engine, error: DBAPIError) -> StoreUnavailable:
    """What to tell of `error`, with which the database of `engine` was not to be had."""
    return StoreUnavailable(
        f"the database {masked(engine.url)} cannot be opened: {cause(error.orig or error)}; "
        "check database.url and that the database is up"
    )
