"""What a session with PostgreSQL is set up with: directly, and through a pooler that passes on no options."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

Answer = TypeVar("Answer")

# Moments near the years 1 and 9999 cannot be read in another zone than UTC.
# Each time-out below the grace of 8 seconds at shutdown, and so below the 15 by which a lease outlasts its step.
_SETTINGS = {
    "timezone": "UTC",
    "statement_timeout": "6s",
    "lock_timeout": "4s",
    "idle_in_transaction_session_timeout": "6s",
}
SILENCE_SECONDS = 7.5
"""How long a server may say nothing: longer than its own time-outs, so that it has hung, or is gone without a word.
Long lists go out as one call, and may take as long as they like while it takes them in and answers."""

# A name of ours, which PostgreSQL keeps without knowing it: whoever reads it back has all the other options, too.
_MARK = "digestd.options"

_READ_ONLY = "25006"

# PgBouncer: "unsupported startup parameter: options" (pgbouncer.org/config.html, ignore_startup_parameters; from 1.20
# on it reads options, and names the one that it does not know). Amazon's RDS Proxy: "doesn't support command-line
# options".
_REFUSED = ("startup parameter", "command-line options")


def options(given: str) -> str:
    """The value of libpq's `options`, with what the operator's own URL says (`given`) last, so that it prevails."""
    ours = " ".join(f"-c {name}={value}" for name, value in {**_SETTINGS, _MARK: "on"}.items())
    return f"{ours} {given}".strip()


class Session(psycopg.Connection[Any]):
    """A connection that waits for no answer longer than :data:`SILENCE_SECONDS`.

    TCP has no word for a server that is stopped, or whose machine hangs: the kernel at the other end goes on saying
    that everything arrived. psycopg has no time-out for answers of its own.
    """

    pooled = False
    """Whether the options did not reach the server."""
    silence_seconds: float | None = SILENCE_SECONDS
    """None: wait for ever, as a migration does for another's."""

    def wait(self, gen: PQGen[Answer], interval: float = 0.1, timeout: float | None = None) -> Answer:
        """See `psycopg.Connection.wait`, which everything that is asked of the server goes through.

        `psycopg.OperationalError` when there is no answer; the connection is closed then, since one may come yet.
        """
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        seconds = self.silence_seconds
        if seconds is None:
            return super().wait(gen, interval)
        try:
            return super().wait(_heard_from(gen, seconds), interval)
        except _Silence:
            self.close()
            message = f"the server gave no answer for {seconds:g} s, and the connection was closed"
            raise psycopg.OperationalError(message) from None


class _Silence(Exception):
    """The server neither took in nor answered anything."""


def _heard_from(gen: PQGen[Answer], seconds: float) -> PQGen[Answer]:
    """Go on with `gen`, which is told every `interval` of the wait whether there was anything to read or room to write;
    `_Silence` when there was neither for so many seconds."""
    last = time.monotonic()
    try:
        wanted = next(gen)
        while True:
            ready = yield wanted
            now = time.monotonic()
            if ready:
                last = now
            elif now - last > seconds:
                raise _Silence
            wanted = gen.send(ready)
    except StopIteration as ended:
        answer: Answer = ended.value
        return answer


def set_up(engine: Engine) -> None:
    """Have every connection of `engine` opened as a :class:`Session`, and its settings in force in each transaction."""
    event.listen(engine, "do_connect", _connect)
    event.listen(engine, "begin", _begin)
    event.listen(engine, "handle_error", _replace_read_only)


def _connect(
    _dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]
) -> psycopg.Connection[Any]:
    try:
        session = Session.connect(**parameters)
    except psycopg.OperationalError as error:
        if not any(words in str(error) for words in _REFUSED):
            raise
        session = Session.connect(**_without_options(parameters))
    session.pooled = not _is_marked(session)
    return session


def _without_options(parameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name != "options"}


def _is_marked(session: Session) -> bool:
    row = session.execute("SELECT current_setting(%s, true)", [_MARK]).fetchone()
    session.rollback()
    return row == ("on",)


def _begin(connection: Connection) -> None:
    """Behind a pooler every transaction may meet another session, and what is set for one must end with it."""
    session = connection.connection.driver_connection
    assert isinstance(session, Session)
    session.silence_seconds = SILENCE_SECONDS
    if session.pooled:
        setting = ", ".join(f"set_config('{name}', '{value}', true)" for name, value in _SETTINGS.items())
        connection.exec_driver_sql(f"SELECT {setting}")


def _replace_read_only(context: ExceptionContext) -> None:
    """A server that has become a standby stays one for its sessions: the next one may meet the new primary."""
    original = context.original_exception
    if isinstance(original, psycopg.Error) and original.sqlstate == _READ_ONLY:
        context.is_disconnect = True
