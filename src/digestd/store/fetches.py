"""The statements of the short log of polls. Each runs in its caller's transaction.

A poll that brings nothing costs no row: it is counted in its source's `unchanged_polls`, by the statement that writes
the source anyway.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime

from sqlalchemy import Connection, bindparam, delete, insert, literal, select, update

from digestd.model import Fetch
from digestd.store import Recorded, StepRecord
from digestd.store.direct import AnyConnection
from digestd.store.schema import fetches, sources
from digestd.store.text import storable

_VALUES = tuple(field.name for field in fields(Fetch) if field.name != "unchanged_before")
# One statement: what is counted must not be read by one and written by another.
_KEEP = insert(fetches).from_select(
    ["source_id", *_VALUES, "unchanged_before"],
    select(
        sources.c.id,
        *(bindparam(name, type_=fetches.c[name].type).label(name) for name in _VALUES),
        sources.c.unchanged_polls,
    ).where(sources.c.id == bindparam("row_id")),
    include_defaults=False,
)
_COUNT = (
    update(sources)
    .where(sources.c.id == bindparam("row_id"))
    .values(unchanged_polls=sources.c.unchanged_polls + 1)
)
_UNCOUNT = update(sources).where(sources.c.id == bindparam("row_id")).values(unchanged_polls=literal(0))


def is_quiet(step: StepRecord) -> bool:
    """Whether `step` ends a poll that brought nothing, as far as can be said before its entries were looked at."""
    told = step.fetched is not None and step.final
    return told and step.succeeded and not step.entries and not step.left_out


def keep(connection: AnyConnection, step: StepRecord, recorded: Recorded, now: datetime) -> None:
    """Write what `step` was and what came of it, or only count it, where all that it brought was known."""
    told = step.fetched
    if told is None or is_quiet(step):
        return
    if step.succeeded and recorded == Recorded(0, 0):
        if step.final:
            connection.execute(_COUNT, {"row_id": step.source_id})
        return
    fetch = Fetch(
        fetched_at=now,
        outcome=told.outcome,
        status=told.status,
        seconds=told.seconds,
        body_bytes=told.body_bytes,
        articles_new=recorded.articles_new,
        articles_updated=recorded.articles_updated,
        unchanged_before=0,
        schedule_reason=storable(step.schedule_reason) or "",
        next_delay_seconds=step.next_delay_seconds,
        error=storable(step.last_error),
    )
    row = {"row_id": step.source_id}
    connection.execute(_KEEP, row | {name: getattr(fetch, name) for name in _VALUES})
    connection.execute(_UNCOUNT, row)


def listed(connection: Connection, source_name: str, limit: int) -> list[Fetch]:
    """See `Store.fetches`."""
    columns = (fetches.c[field.name] for field in fields(Fetch))
    found = (
        select(*columns)
        .where(
            fetches.c.source_id == select(sources.c.id).where(sources.c.name == source_name).scalar_subquery()
        )
        .order_by(fetches.c.id.desc())
        .limit(limit)
    )
    return [Fetch(**row._mapping) for row in connection.execute(found)]


def forget(connection: Connection, before: datetime, limit: int) -> int:
    """See `Store.forget_fetches`."""
    old = (
        select(fetches.c.id).where(fetches.c.fetched_at < before).order_by(fetches.c.fetched_at).limit(limit)
    )
    # Several processes may do this at one time: none waits for another.
    old = old.with_for_update(skip_locked=True)
    return connection.execute(delete(fetches).where(fetches.c.id.in_(old))).rowcount
