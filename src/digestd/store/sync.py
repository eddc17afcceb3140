"""Making the kept sources those of the files, in one transaction of the caller's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, insert, select, text, update

from digestd.model import SourceSpec
from digestd.store import SyncReport, moving
from digestd.store.changes import list_owner, tell
from digestd.store.chunks import chunks
from digestd.store.patience import unhurried
from digestd.store.schema import source_lists, sources
from digestd.store.sourcelist import plan_sync, replaced
from digestd.store.sources import kept_sources

_LOCK_KEY = int.from_bytes(b"digestd") + 1


def alone(connection: Connection) -> None:
    """Until the transaction ends, let nobody else change what there is of sources.

    Two processes that start at once would both insert what neither saw; and what a plan was made from has to stand
    until it is carried out. Polls and claims go on meanwhile.
    """
    # SQLite has one writer anyway.
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK_KEY})


def sync(
    connection: Connection, specs: Sequence[SourceSpec], fingerprint: str, owner: str, now: datetime
) -> SyncReport:
    """See `Store.sync_sources`; `owner` is whose files they are."""
    unhurried(connection)
    alone(connection)
    plan = plan_sync(kept_sources(connection), specs, now)
    standing = list_owner(connection)
    write(connection, plan.updates)
    # In parts: what the driver is given is made of all rows of a call at one time, 100 MB of 100,000.
    for some in chunks(plan.inserts):
        connection.execute(insert(sources), some)
    moving.part(connection, now)
    _write_list(connection, fingerprint, owner, now)
    if plan.updates or plan.inserts or standing is None or standing.fingerprint != fingerprint:
        tell(connection)
    return replace(plan.report, replaced=replaced(standing, fingerprint, owner))


def write(connection: Connection, updates: Mapping[int, Mapping[str, Any]]) -> None:
    """Write `updates`, by source id; those of the same columns together: one at a time a list of 100,000 would take
    minutes."""
    by_columns: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for source_id, values in updates.items():
        row = {f"new_{name}": value for name, value in values.items()}
        by_columns[tuple(sorted(values))].append({**row, "row_id": source_id})
    # Locked in the order of their ids before, as every transaction takes several rows: no two wait in a circle.
    for some in chunks(sorted(updates)):
        locking = select(sources.c.id).where(sources.c.id.in_(some)).order_by(sources.c.id)
        connection.execute(locking.with_for_update())
    for names, rows in by_columns.items():
        changes: Mapping[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        connection.execute(update(sources).where(sources.c.id == bindparam("row_id")).values(changes), rows)


def _write_list(connection: Connection, fingerprint: str, owner: str, now: datetime) -> None:
    values = {"fingerprint": fingerprint, "owner": owner, "written_at": now}
    if connection.execute(update(source_lists).values(values)).rowcount == 0:
        connection.execute(insert(source_lists).values(id=1, **values))
