"""One transaction: begun, worked in, and ended; what an outage looks like from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from digestd.store.outage import masked, outage

_Result = TypeVar("_Result")


def transact(engine: Engine, work: Callable[[Connection], _Result]) -> _Result:
    """Do `work` in a transaction of its own. Blocks.

    An outage is raised as :class:`~digestd.errors.StoreUnavailable`; every other error escapes as it is. Either way
    nothing was written, unless the connection broke during the commit itself.
    """
    try:
        with engine.begin() as connection:
            return work(connection)
    except SQLAlchemyError as error:
        unavailable = outage(error, masked(engine.url))
        if unavailable is None:
            raise
        raise unavailable from error


def database_time(connection: Connection) -> datetime:
    """The database's time; SQLite has no other than the machine's."""
    if connection.dialect.name == "sqlite":
        return datetime.now(UTC)
    moment: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return moment.astimezone(UTC)
