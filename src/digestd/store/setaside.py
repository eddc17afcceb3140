"""Entries that could not become articles, kept beside them with the reason: nothing of a document is lost."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Connection, bindparam, delete, select

from digestd.model import Entry, LeftOut
from digestd.store import EntrySetAside, SetAside
from digestd.store.chunks import chunks
from digestd.store.direct import AnyConnection
from digestd.store.schema import entries_set_aside, sources
from digestd.store.text import storable
from digestd.store.upserts import Upsert, insert_into

_LONGEST_SHOWN = 200

_OF_SOURCE = entries_set_aside.c.source_id == bindparam("its_source")
_KEYS = select(entries_set_aside.c.entry_key).where(_OF_SOURCE)
_HEAL = delete(entries_set_aside).where(
    _OF_SOURCE, entries_set_aside.c.entry_key.in_(bindparam("healed", expanding=True))
)


def refused_row(entry_key: str, entry: Entry, reason: str) -> Mapping[str, Any]:
    """The row of `entry`, which the database refused under `entry_key` for `reason`."""
    # In ASCII, with every other character escaped: whatever it was that the database refused, it takes this.
    written = json.dumps(asdict(entry), default=str)
    return _row(entry_key, entry.guid, entry.title, reason, written)


def left_out_row(left_out: LeftOut) -> Mapping[str, Any]:
    """The row of an entry that could not be read."""
    return _row(left_out.key, left_out.guid, left_out.title, left_out.reason, left_out.written)


def told(row: Mapping[str, Any]) -> SetAside:
    """What `record` answers for `row`."""
    return SetAside(row["guid"], row["title"], row["reason"])


def keep(
    connection: AnyConnection,
    source_id: int,
    rows: Sequence[Mapping[str, Any]],
    stored_keys: Collection[str],
    now: datetime,
) -> None:
    """Keep `rows` for the source; those of earlier steps whose `entry_key` is one of `stored_keys` have become articles
    and leave."""
    keys = connection.execute(_KEYS, {"its_source": source_id}).scalars()
    refused = {row["entry_key"] for row in rows}
    healed = [key for key in keys if key in stored_keys and key not in refused]
    for some in chunks(healed):
        connection.execute(_HEAL, {"its_source": source_id, "healed": some})
    if rows:
        moments = {"source_id": source_id, "first_seen_at": now, "last_seen_at": now}
        connection.execute(_keeping(connection.dialect.name), [{**row, **moments} for row in _distinct(rows)])


def listed(connection: Connection, limit: int) -> list[EntrySetAside]:
    """See `Store.entries_set_aside`."""
    table = entries_set_aside.c
    query = (
        select(entries_set_aside, sources.c.name.label("source_name"))
        .join(sources, sources.c.id == table.source_id)
        .order_by(table.last_seen_at.desc(), table.id.desc())
        .limit(limit)
    )
    return [
        EntrySetAside(
            row.source_name, row.guid, row.title, row.reason, row.entry, row.first_seen_at, row.last_seen_at
        )
        for row in connection.execute(query)
    ]


@cache
def _keeping(dialect: str) -> Upsert:
    statement = insert_into(entries_set_aside, dialect)
    changes = {name: statement.excluded[name] for name in ("reason", "entry", "last_seen_at")}
    return statement.on_conflict_do_update(index_elements=["source_id", "entry_key"], set_=changes)


def _distinct(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    # One statement may not update a row twice (PostgreSQL, ON CONFLICT DO UPDATE).
    return list({row["entry_key"]: row for row in rows}.values())


def _row(entry_key: str, guid: str | None, title: str, reason: str, written: str) -> Mapping[str, Any]:
    return {
        "entry_key": entry_key,
        "guid": None if guid is None else _shown(guid),
        "title": _shown(title),
        "reason": _shown(reason),
        "entry": written,
    }


def _shown(text: str) -> str:
    return storable(text[:_LONGEST_SHOWN])
