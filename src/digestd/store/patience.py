"""Transactions that may take longer than a session's time-outs allow. Only PostgreSQL has any."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from sqlalchemy import Connection, text

if TYPE_CHECKING:
    from digestd.store.session import Session

_THINKING_SECONDS = 60.0


def patient(connection: Connection) -> None:
    """Let the transaction on `connection` wait as long as it takes, for a lock and for its answers."""
    if connection.dialect.name == "postgresql":
        session = cast("Session", connection.connection.driver_connection)
        connection.execute(text("SET LOCAL lock_timeout = '5min'"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        session.silence_seconds = None


def unhurried(connection: Connection) -> None:
    """Let the transaction on `connection` take its time between two statements, as one does that thinks about 100,000
    rows on a busy machine. A process that is stopped meanwhile is waited for as long, and no longer."""
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(f"SET LOCAL idle_in_transaction_session_timeout = '{_THINKING_SECONDS:.0f}s'")
        )
