"""One transaction, and what time it is in the database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from digestd.store.outage import masked, outage

_Result = TypeVar("_Result")


def transact(engine: Engine, work: Callable[[Connection], _Result]) -> _Result:
    """Do `work` in one transaction of `engine`, and give what it returns. Blocks.

    Raises :class:`~digestd.errors.StoreUnavailable` where the database cannot be had; whatever else `work` raises ends
    the transaction, too.
    """
    try:
        with engine.begin() as connection:
            return work(connection)
    except SQLAlchemyError as error:
        unavailable = outage(error, masked(engine.url))
        if unavailable is None:
            raise
        raise unavailable from error


def database_now(connection: Connection) -> datetime:
    """The database's time; SQLite has no other than the machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)
