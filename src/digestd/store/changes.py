"""What somebody changed of the sources: written down with the change, told by PostgreSQL, and found again by all who
share the database. Each runs in its caller's transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy import Connection, Text, bindparam, select, text, type_coerce

from digestd.store import Changes, ListOwner
from digestd.store.schema import source_lists, sources
from digestd.store.sources import statuses_of

CHANNEL = "digestd_sources"
"""Where PostgreSQL tells that sources were changed; not which: that is asked of the table."""

# Transactions commit in another order than their clocks say: one that began earlier may be seen later. None but that of
# a long list takes as long as this between writing down its moment and committing: time-outs end it before.
_OVERLAP = timedelta(seconds=60)

_A_MOMENT = timedelta(microseconds=1)

# No source has this id: with the moment of the list in force it stands for that list among what was told.
_LIST_ID = 0

# The moment only tells one change from the next, and one that somebody damaged must not stop the others: it is taken
# as it lies there.
_CHANGED = select(sources.c.id, type_coerce(sources.c.changed_at, Text).label("version")).where(
    sources.c.changed_at > bindparam("since")
)
_LIST = select(source_lists.c.fingerprint, source_lists.c.owner, source_lists.c.written_at)


def tell(connection: Connection) -> None:
    """Let those who listen look at the sources, once this transaction is committed."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_notify(:channel, '')"), {"channel": CHANNEL})


def changed(
    connection: Connection, since: datetime | None, told: Collection[tuple[int, object]], now: datetime
) -> Changes:
    """See `Store.changed_sources`."""
    # The list first: what is committed between the two is found the next time, by a list that is new then.
    fingerprint, owner, written_at = connection.execute(_LIST).one_or_none() or (None, None, None)
    found: set[tuple[int, object]] = set() if written_at is None else {(_LIST_ID, written_at)}
    new = found.difference(told)
    began = (now if since is None else since) - _OVERLAP
    if new and written_at is not None and since is not None:
        # However long it took: all that it changed has its own moment.
        began = min(began, written_at - _A_MOMENT)
    # A list of 100,000 has one moment.
    versions: dict[object, object] = {}
    found |= {
        (source_id, versions.setdefault(version, version))
        for source_id, version in connection.execute(_CHANGED, {"since": began})
    }
    untold = set() if since is None else found.difference(told)
    ids = sorted({source_id for source_id, _ in untold} - {_LIST_ID})
    return Changes(
        statuses=tuple(statuses_of(connection, ids, now)),
        latest=now,
        list_fingerprint=fingerprint,
        list_owner=owner,
        list_written_at=written_at,
        told=frozenset(found),
    )


def list_owner(connection: Connection) -> ListOwner | None:
    """Whose list of sources is in force; None before any was written."""
    row = connection.execute(_LIST).one_or_none()
    return None if row is None else ListOwner(*row)
