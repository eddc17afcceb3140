"""Which errors of a database mean that it cannot be had just now, and how an operator is told."""

from __future__ import annotations

import sqlite3

from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from digestd.errors import StoreUnavailable

# Classes of SQLSTATE (PostgreSQL manual, appendix A): connection, transaction rollback, resources, object in
# use or lock not available, operator intervention (a restart, a statement time-out), system error.
_AWAY_CLASSES = ("08", "40", "53", "55", "57", "58")
# Read-only transaction (a standby, a full disk's emergency brake) and the idle-in-transaction time-out.
_AWAY_STATES = ("25006", "25P03")

_AWAY_SQLITE_CODES = (
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_NOTADB,
)


# Where in the URL of a database an operator looks for the mistake, and no secret is.
_SHOWN_IN_QUERIES = frozenset(
    {"host", "port", "dbname", "sslmode", "connect_timeout", "target_session_attrs"}
)


def masked(url: URL) -> str:
    """Give `url` fit for a message: its password hidden, and what its query says but for the place of the database."""
    hidden = {key: "***" for key in url.query if key not in _SHOWN_IN_QUERIES}
    return url.update_query_dict(hidden).render_as_string(hide_password=True).replace("%2A%2A%2A", "***")


def outage(error: Exception, database: str) -> StoreUnavailable | None:
    """Tell the outage of `database` (its masked URL) that `error` means; None if the fault is the
    statement's."""
    if isinstance(error, PoolTimeout):
        return StoreUnavailable(f"the database {database} has no connection free: raise database.pool_size")
    # The driver's own error, where it did not come through SQLAlchemy.
    original = error.orig if isinstance(error, DBAPIError) else error
    if original is not None and _is_away(original):
        return StoreUnavailable(f"the database {database} cannot be used just now: {cause(original)}")
    return None


def cause(error: BaseException) -> str:
    """The driver's own words for `error`, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def _is_away(original: BaseException) -> bool:
    if isinstance(original, sqlite3.Error):
        # Extended codes carry the primary one in their low byte (sqlite.org/rescode.html).
        return getattr(original, "sqlite_errorcode", 0) & 0xFF in _AWAY_SQLITE_CODES
    # Not with the module: who keeps to SQLite pays for no driver of PostgreSQL's at every start.
    import psycopg

    if isinstance(original, psycopg.Error) and original.sqlstate is not None:
        return original.sqlstate[:2] in _AWAY_CLASSES or original.sqlstate in _AWAY_STATES
    # Without a SQLSTATE the server said nothing: the connection failed or is closed.
    return isinstance(original, psycopg.OperationalError | psycopg.InterfaceError)
