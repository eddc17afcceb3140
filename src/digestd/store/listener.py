"""Being told by PostgreSQL, on a connection of its own, that sources were changed."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import trio
from sqlalchemy import URL, Engine
from sqlalchemy.exc import SQLAlchemyError

from digestd.errors import StoreUnavailable
from digestd.store.changes import CHANNEL
from digestd.store.engine import create
from digestd.store.outage import cause, masked

if TYPE_CHECKING:
    import psycopg

# Whoever only listens never learns that the other side is gone, unless it asks: after half a minute of silence.
_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 5, "keepalives_count": 3}


class Listener:
    """Listens to the database at `url`, as :func:`digestd.store.engine.database_url` gives it; nothing is connected
    until somebody asks."""

    def __init__(self, url: URL, connect_timeout_seconds: float) -> None:
        self._url = url
        self._connect_timeout_seconds = connect_timeout_seconds
        # Not those of transactions: a server that does not answer would hold one of them with every attempt.
        self._threads = trio.CapacityLimiter(1)

    @asynccontextmanager
    async def changes_told(self) -> AsyncGenerator[Callable[[], Awaitable[None]]]:
        """See `Store.changes_told`."""
        if self._url.get_backend_name() == "sqlite":
            yield trio.sleep_forever
            return
        session = _Session()
        try:
            await trio.to_thread.run_sync(self._open, session, abandon_on_cancel=True, limiter=self._threads)
            yield lambda: self._wait_told(session.connection)
        finally:
            session.leave()

    def _open(self, session: _Session) -> None:
        asked = {name: value for name, value in _KEEPALIVES.items() if name not in self._url.query}
        engine = create(
            self._url,
            pool_size=1,
            connect_timeout_seconds=self._connect_timeout_seconds,
            driver_options=asked,
        ).execution_options(isolation_level="AUTOCOMMIT")
        try:
            session.enter(_listening(engine))
        except SQLAlchemyError as error:
            raise self._unavailable(getattr(error, "orig", None) or error) from error

    async def _wait_told(self, connection: psycopg.Connection[Any]) -> None:
        import psycopg

        # Before, not after: what was taken from the connection must not be lost to a cancellation.
        await trio.lowlevel.checkpoint()
        try:
            # It looks without waiting for anything: what is not yet there will make the socket readable.
            while not list(connection.notifies(timeout=0)):
                await trio.lowlevel.wait_readable(connection.fileno())
        except psycopg.Error as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: BaseException) -> StoreUnavailable:
        return StoreUnavailable(f"the database {masked(self._url)} cannot be listened to: {cause(error)}")


class _Session:
    """A connection that a thread opens for a task that may be gone by then: whoever comes last closes it."""

    connection: psycopg.Connection[Any]

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._opened = self._left = False

    def enter(self, connection: psycopg.Connection[Any]) -> None:
        with self._lock:
            self.connection, self._opened = connection, True
            if self._left:
                connection.close()

    def leave(self) -> None:
        with self._lock:
            self._left = True
            if self._opened:
                self.connection.close()


def _listening(engine: Engine) -> psycopg.Connection[Any]:
    import psycopg

    connection = engine.connect()
    try:
        driver_connection = connection.connection.driver_connection
        assert isinstance(driver_connection, psycopg.Connection)
        connection.exec_driver_sql(f"LISTEN {CHANNEL}")
        # From here on the pool knows nothing of it: it is ours to close.
        connection.detach()
    except BaseException:
        connection.invalidate()
        connection.close()
        raise
    return driver_connection
