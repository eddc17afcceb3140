"""Savepoints: part of a transaction that can fail alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import NestedTransaction
from sqlalchemy.exc import SQLAlchemyError

from digestd.errors import StoreUnavailable
from digestd.store.direct import AnyConnection, Direct
from digestd.store.outage import cause, masked, outage


@contextmanager
def savepoint(connection: AnyConnection) -> Iterator[None]:
    """Undo the block, and nothing else, if it raises. A transaction of the driver's own is undone whole by whatever is
    raised in it, and then done anew with savepoints.

    An outage is raised as `StoreUnavailable`, and has to end the whole transaction: on some errors
    (sqlite.org/lang_transaction.html) SQLite rolls all of it back by itself, and what came after would be
    committed alone.
    """
    if isinstance(connection, Direct):
        yield
        return
    nested = None
    try:
        nested = connection.begin_nested()
        yield
        nested.commit()
    except StoreUnavailable:
        raise
    except Exception as error:
        database = masked(connection.engine.url)
        if (unavailable := outage(error, database)) is not None:
            raise unavailable from error
        if nested is not None:
            _roll_back(nested, database)
        raise


def _roll_back(nested: NestedTransaction, database: str) -> None:
    try:
        nested.rollback()
    except SQLAlchemyError as error:
        reason = f"it lost the transaction: {cause(error)}"
        raise StoreUnavailable(f"the database {database} cannot be used just now: {reason}") from error
