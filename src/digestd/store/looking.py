"""A look into a database that changes nothing of it: which sources there are, and which entries are known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Literal, TypeAlias

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from digestd.errors import StoreUnavailable
from digestd.feed.identity import assign
from digestd.model import Entry, SourceStatus
from digestd.store import sources, tombstones
from digestd.store.engine import database_url, file_of, for_looking
from digestd.store.entries import storable_entry
from digestd.store.migrate import REVISIONS, revision
from digestd.store.outage import cause, masked
from digestd.store.schema import hosts

Standing: TypeAlias = Literal["new", "changed", "known", "deleted"]
"""What an entry is to the store."""


class Look:
    """One look: all of it is of one moment. Its methods block."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def sources(self, name: str | None = None) -> list[SourceStatus]:
        """See :meth:`digestd.store.Store.sources`; nothing is counted."""
        return sources.statuses(self._connection, datetime.now(UTC), count_articles=False, name=name)

    def pauses(self) -> dict[str, float]:
        """The hosts, by their keys, that want to be left alone, and for how many seconds more."""
        now = datetime.now(UTC)
        wanted = select(hosts.c.host, hosts.c.paused_until).where(hosts.c.paused_until > now)
        return {
            row.host: (row.paused_until - now).total_seconds() for row in self._connection.execute(wanted)
        }

    def standings(self, source_id: int, entries: Sequence[Entry]) -> dict[str, Standing]:
        """What each of `entries` is to the source, by its content hash and identity (see :func:`key_of`)."""
        cleaned = [storable_entry(entry) for entry in entries]
        found = tombstones.known(self._connection, source_id, cleaned)
        standings: dict[str, Standing] = {}
        for one in assign(cleaned, [*found.stored.values()]):
            is_buried = one.article_id in found.buried
            known: Standing = "deleted" if is_buried else "changed" if one.changed else "known"
            standings[key_of(one.entry)] = "new" if one.article_id is None else known
        return standings


def key_of(entry: Entry) -> str:
    """What :meth:`Look.standings` knows `entry` by."""
    return f"{entry.identity} {entry.content_hash}"


@contextmanager
def look(url: str, connect_timeout_seconds: float) -> Iterator[Look]:
    """Look into the database at `url` (`database.url`). No file is made, no schema brought up to date, no row locked.

    Blocks, up to the connect time-out. Raises :class:`~digestd.errors.StoreUnavailable` where there is none, it cannot
    be read, or its schema is not the one of this digestd.
    """
    database = database_url(url)
    is_sqlite = database.get_backend_name() == "sqlite"
    if is_sqlite and not file_of(database).exists():
        raise StoreUnavailable(f"there is no database {file_of(database)} yet")
    engine = for_looking(database, connect_timeout_seconds=connect_timeout_seconds)
    try:
        with engine.connect() as connection:
            if not is_sqlite:
                connection = connection.execution_options(postgresql_readonly=True)
            if revision(connection) != REVISIONS[-1]:
                raise StoreUnavailable(
                    f"the schema of the database {masked(engine.url)} is not that of this digestd; "
                    "its next start brings it up to date"
                )
            yield Look(connection)
    except SQLAlchemyError as error:
        reason = cause(getattr(error, "orig", None) or error)
        raise StoreUnavailable(
            f"the database {masked(engine.url)} cannot be looked into: {reason}"
        ) from error
    finally:
        engine.dispose()
