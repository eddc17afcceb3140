"""The statements about sources that have moved, and about duplicates. Each runs in its caller's transaction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import ColumnElement, Connection, func, or_, select, update

from digestd.feed.moving import normalised
from digestd.store import Recorded, StepRecord
from digestd.store.changes import tell
from digestd.store.chunks import chunks
from digestd.store.duplicates import (
    Candidate,
    MovePlan,
    leads_to,
    original_of,
    plan_move,
    plan_parting,
    plan_wanting,
)
from digestd.store.schema import sources

_CANDIDATES = select(*(sources.c[field.name] for field in fields(Candidate)))


def lock(connection: Connection, records: Sequence[StepRecord]) -> None:
    """Lock the sources of `records`, and those that one of them may have moved to, in the order of their ids: as every
    transaction takes several rows, so that no two wait in a circle."""
    ids = {record.source_id for record in records}
    for record in records:
        if record.effective_url:
            ids |= _leading_to(connection, record.source_id, record.effective_url)
    for some in chunks(sorted(ids)):
        locking = select(sources.c.id).where(sources.c.id.in_(some)).order_by(sources.c.id)
        connection.execute(locking.with_for_update())


def move(connection: Connection, step: StepRecord, recorded: Recorded, now: datetime) -> Recorded:
    """Do what `step` says of where its source is, if it says anything; `recorded` with what came of it.

    The transaction holds :func:`digestd.store.sync.alone`, and the rows that :func:`lock` locks.
    """
    if step.effective_url is None:
        return recorded
    if not step.effective_url:
        moved = _move_home(connection, step.source_id, now)
        part(connection, now, apart_from=step.source_id)
        return replace(recorded, moved=moved)
    plan = _planned(connection, step.source_id, step.effective_url, now)
    _write(connection, plan.updates)
    if plan.updates:
        tell(connection)
    return replace(recorded, moved=plan.moved, duplicates=tuple(plan.duplicates))


def part(connection: Connection, now: datetime, *, apart_from: int | None = None) -> None:
    """Let the duplicates be polled again whose reason has gone; see :func:`digestd.store.duplicates.plan_parting`.

    Reads all sources, so it is for when somebody changes some.
    """
    rows = connection.execute(_CANDIDATES.where(sources.c.state == "duplicate"))
    duplicates = [Candidate(*row) for row in rows]
    updates = plan_parting(duplicates, _originals(connection, duplicates), now, apart_from=apart_from)
    _write(connection, updates)
    if updates:
        tell(connection)


def want(connection: Connection, source_id: int, now: datetime) -> None:
    """Let a duplicate be polled though it is one."""
    for duplicate in _candidates(connection, [source_id]):
        _write(connection, {source_id: plan_wanting(duplicate, now)})


def _planned(connection: Connection, source_id: int, target: str, now: datetime) -> MovePlan:
    (mover,) = _candidates(connection, [source_id])
    others = _candidates(connection, _leading_to(connection, source_id, target))
    return plan_move(mover, target, others, _originals(connection, others), now)


def _move_home(connection: Connection, source_id: int, now: datetime) -> bool:
    adopted = update(sources).where(sources.c.id == source_id, sources.c.effective_url.is_not(None))
    moved = connection.execute(adopted.values(effective_url=None, changed_at=now)).rowcount > 0
    if moved:
        tell(connection)
    return moved


def _leading_to(connection: Connection, source_id: int, target: str) -> set[int]:
    """The other sources that are where `target` is, removed ones apart. Reads all of them."""
    query = select(sources.c.id, sources.c.url, sources.c.effective_url).where(
        sources.c.id != source_id, sources.c.state != "removed", _names_host_of(target)
    )
    return {row.id for row in connection.execute(query) if leads_to(row.url, row.effective_url, target)}


def _names_host_of(target: str) -> ColumnElement[bool]:
    """Whether a row's URLs hold the host of `target`: what remains is compared one by one."""
    host = urlsplit(normalised(target) or "").hostname or ""
    texts = (func.lower(sources.c.url), func.lower(sources.c.effective_url))
    return or_(
        *(text.contains(name, autoescape=True) for text in texts for name in {host, _in_unicode(host)})
    )


def _in_unicode(host: str) -> str:
    """`host` as an operator may have written it."""
    try:
        return host.encode("ascii").decode("idna")
    except UnicodeError:
        return host


def _candidates(connection: Connection, ids: Collection[int]) -> list[Candidate]:
    return [
        Candidate(*row)
        for some in chunks(sorted(ids))
        for row in connection.execute(_CANDIDATES.where(sources.c.id.in_(some)))
    ]


def _originals(connection: Connection, some: Iterable[Candidate]) -> Mapping[int, Candidate]:
    """By id the sources that are kept for those of `some` that are duplicates."""
    ids = {original for one in some if (original := original_of(one)) is not None}
    return {one.id: one for one in _candidates(connection, ids)}


def _write(connection: Connection, updates: Mapping[int, Mapping[str, Any]]) -> None:
    for source_id, values in updates.items():
        connection.execute(update(sources).where(sources.c.id == source_id).values(values))
