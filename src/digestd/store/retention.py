"""The statements that delete articles: those that retention lets go, and those that a person does not want. Each runs
in its caller's transaction, and leaves tombstones."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    Subquery,
    and_,
    bindparam,
    case,
    delete,
    exists,
    false,
    func,
    or_,
    select,
    true,
)

from digestd.model import Article
from digestd.store import ArticleQuery, Purged, RetentionLimits, listing
from digestd.store.chunks import chunks
from digestd.store.expiry import PURGE_LIMIT, Horizons, horizons, tombstone_horizon
from digestd.store.schema import IN_DOCUMENT, LEFT, articles, sources, tombstones
from digestd.store.tombstones import bury

# Of so many sources it is asked in one transaction whether something of theirs may go.
_LOOKED_AT = 500
# Of so many something is deleted in one transaction, which holds their locks: a poll of theirs may wait for it.
_IN_ONE_GO = 100

_kept, _buried = articles.c, tombstones.c
# Under these locks nobody records on a source: what is deleted cannot have come back meanwhile.
_LOCK_SOURCES = (
    select(sources.c.id, sources.c.last_whole_at)
    .where(sources.c.id.in_(bindparam("source_ids", expanding=True)))
    .order_by(sources.c.id)
)
_LOCK_SOURCES_OF = (
    select(sources.c.id)
    .where(sources.c.id.in_(select(_kept.source_id).where(_kept.id.in_(bindparam("ids", expanding=True)))))
    .order_by(sources.c.id)
    .with_for_update()
)
_LOCK_ARTICLES = (
    select(_kept.id)
    .where(_kept.id.in_(bindparam("ids", expanding=True)))
    .order_by(_kept.id)
    .with_for_update()
)


@dataclass(frozen=True, slots=True)
class Look:
    """The sources of which something may go, and after which source to look on; None at the end."""

    source_ids: tuple[int, ...]
    after: int | None


def look(connection: Connection, limits: RetentionLimits, after: int, now: datetime) -> Look:
    """Look at some sources behind the one with the id `after`. Reads a few index entries of each, and of one from which
    articles have left as many as it may keep."""
    horizon = horizons(limits, now)
    rows = connection.execute(_looking(limits, horizon), {"after": after}).all()
    due = [row.id for row in rows if _is_due(row, horizon)]
    if len(due) > _IN_ONE_GO:
        return Look(tuple(due[:_IN_ONE_GO]), due[_IN_ONE_GO - 1])
    return Look(tuple(due), rows[-1].id if len(rows) == _LOOKED_AT else None)


def purge(connection: Connection, limits: RetentionLimits, found: Look, now: datetime) -> Purged:
    """Delete what may go of the sources of `found`, as far as one transaction should; see `Store.purge`."""
    locking = _LOCK_SOURCES.with_for_update(skip_locked=True)
    locked = connection.execute(locking, {"source_ids": found.source_ids}).all()
    horizon = horizons(limits, now)
    ids: list[int] = []
    forgotten = 0
    after = found.after
    for source in locked:
        ids += _expired(connection, source.id, limits, horizon, PURGE_LIMIT - len(ids))
        forgotten += _forget(connection, source.id, source.last_whole_at, PURGE_LIMIT - forgotten)
        if PURGE_LIMIT in (len(ids), forgotten):
            after = source.id - 1
            break
    bury(connection, ids, now)
    return Purged(len(ids), forgotten, after)


def delete_articles(connection: Connection, ids: Collection[int], now: datetime) -> list[Article]:
    """See `Store.delete_articles`."""
    deleted: list[Article] = []
    for chunk in chunks(sorted(set(ids))):
        connection.execute(_LOCK_SOURCES_OF, {"ids": chunk})
        there = tuple(connection.execute(_LOCK_ARTICLES, {"ids": chunk}).scalars())
        deleted += listing.listed(connection, ArticleQuery(ids=there))
        bury(connection, there, now)
    return deleted


def _looking(limits: RetentionLimits, horizon: Horizons) -> Select[Any]:
    first_left = select(func.min(_kept.left_at)).where(_kept.source_id == sources.c.id, LEFT)
    first_buried = select(func.min(_buried.left_at)).where(_buried.source_id == sources.c.id)
    looked_at = (
        select(
            sources.c.id,
            sources.c.last_whole_at,
            first_left.scalar_subquery().label("first_left"),
            first_buried.scalar_subquery().label("first_buried"),
        )
        .where(sources.c.id > bindparam("after"), sources.c.last_whole_at.is_not(None))
        .order_by(sources.c.id)
        .limit(_LOOKED_AT)
        .subquery()
    )
    if limits.max_per_source is None or horizon.number is None:
        return select(looked_at, false().label("surplus")).order_by(looked_at.c.id)
    first = (
        _beyond(limits.max_per_source).with_only_columns(_kept.id).where(_kept.source_id == looked_at.c.id)
    )
    # Asked where something could go alone: it is what costs most.
    beyond = case((looked_at.c.first_left < horizon.number, first.scalar_subquery()))
    return _with_surplus(select(looked_at, beyond.label("beyond")).subquery(), horizon.number)


def _with_surplus(found: Subquery, horizon: datetime) -> Select[Any]:
    """`found`, and whether something of it may go: of a source with a long document all that is too much may be in
    there."""
    first = articles.alias("first_too_many")
    surplus = exists().where(_kept.source_id == found.c.id, LEFT, _kept.left_at < horizon)
    surplus = surplus.where(first.c.id == found.c.beyond, _not_newer(first.c))
    return select(found, surplus.label("surplus")).order_by(found.c.id)


def _is_due(row: Row[Any], horizon: Horizons) -> bool:
    too_old = row.first_left is not None and horizon.age is not None and row.first_left < horizon.age
    forgettable = row.first_buried is not None and row.first_buried < tombstone_horizon(row.last_whole_at)
    return too_old or row.surplus or forgettable


def _expired(
    connection: Connection, source_id: int, limits: RetentionLimits, horizon: Horizons, room: int
) -> list[int]:
    """The ids of up to `room` articles that may go, locked."""
    its_own = _kept.source_id == source_id
    ids: list[int] = []
    staying: ColumnElement[bool] = true()
    if horizon.age is not None:
        too_old = select(_kept.id).where(its_own, LEFT, _kept.left_at < horizon.age)
        ids += _locked(connection, too_old.order_by(_kept.left_at, _kept.id).limit(room))
        staying = or_(IN_DOCUMENT, _kept.left_at >= horizon.age)
    if limits.max_per_source is None or len(ids) == room:
        return ids
    first = connection.execute(_beyond(limits.max_per_source).where(its_own, staying)).first()
    if first is not None:
        surplus = select(_kept.id).where(its_own, staying, _kept.left_at < horizon.number, _not_newer(first))
        oldest = surplus.order_by(_kept.published_at, _kept.id).limit(room - len(ids))
        ids += _locked(connection, oldest)
    return ids


def _beyond(max_per_source: int) -> Select[Any]:
    """The newest article that is one too many."""
    newest_first = (_kept.published_at.desc(), _kept.id.desc())
    return select(_kept.id, _kept.published_at).order_by(*newest_first).limit(1).offset(max_per_source)


def _not_newer(first: Any) -> ColumnElement[bool]:
    """Whether an article comes after `first`, a row or the columns of one, when the newest come first, or is it."""
    tied = and_(_kept.published_at == first.published_at, _kept.id <= first.id)
    # The first condition says nothing new, but an index can answer it.
    return and_(_kept.published_at <= first.published_at, or_(_kept.published_at < first.published_at, tied))


def _locked(connection: Connection, chosen: Select[int]) -> Sequence[int]:
    """Those of `chosen` that no other transaction holds, locked in the order of their ids, as every transaction that
    locks several rows takes them."""
    locking = select(_kept.id).where(_kept.id.in_(chosen)).order_by(_kept.id)
    return connection.execute(locking.with_for_update(skip_locked=True)).scalars().all()


def _forget(connection: Connection, source_id: int, last_whole_at: datetime, room: int) -> int:
    """Let up to `room` tombstones go whose entries cannot be expected any more; returns how many."""
    gone = (
        select(_buried.id)
        .where(_buried.source_id == source_id, _buried.left_at < tombstone_horizon(last_whole_at))
        .order_by(_buried.left_at)
        .limit(room)
    )
    return connection.execute(delete(tombstones).where(_buried.id.in_(gone))).rowcount
