"""The statements behind :class:`digestd.store.overview.Overview`. Each runs in a transaction that only reads."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields
from datetime import datetime
from typing import Any, Protocol, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, literal, or_, select

from digestd.model import UNFINISHED_CLAIMS_LIMIT
from digestd.store import fetches as polls_log
from digestd.store.overview import (
    COUNTED_AT_MOST,
    GROUPS_AT_MOST,
    Headline,
    PollCounts,
    SourceCounts,
    SourceDetail,
    SourceList,
    SourceQuery,
)
from digestd.store.schema import articles, entries_set_aside, fetches, sources
from digestd.store.sources import statuses_of
from digestd.store.text import storable

_Result = TypeVar("_Result")

_row = sources.c
_LISTED = _row.state != "removed"
_ENABLED = func.coalesce(_row.enabled_override, _row.enabled)
_SUSPECT = _row.unfinished_claims >= UNFINISHED_CLAIMS_LIMIT
_FAILING = and_(_ENABLED, or_(_row.consecutive_failures > 0, _SUSPECT))
_STANDING = case((_ENABLED, _row.state), else_=literal("disabled"))
_TROUBLE = case(
    (~_ENABLED, 6),
    (_SUSPECT, 0),
    (_row.consecutive_failures > 0, 1),
    (_row.state == "gone", 2),
    (_row.state == "degraded", 3),
    (_row.state == "duplicate", 4),
    else_=5,
)
# What never was counts as longest ago, and what is due at once as due first.
_ORDERS: dict[str, ColumnElement[Any]] = {
    "trouble": _TROUBLE,
    "last_success": _row.last_success_at,
    "next_poll": _row.next_fetch_at,
    "last_new": _row.last_new_at,
}

_HEADLINES = select(
    sources.c.name.label("source_name"),
    *(articles.c[field.name] for field in fields(Headline) if field.name != "source_name"),
).join_from(articles, sources, sources.c.id == articles.c.source_id)


class Read(Protocol):
    """Does `work` in one transaction that only reads, handing it the database's time."""

    def __call__(self, work: Callable[[Connection, datetime], _Result]) -> Awaitable[_Result]: ...


class SqlOverview:
    """Keeps the :class:`digestd.store.overview.Overview` protocol."""

    def __init__(self, read: Read) -> None:
        self._read = read

    async def sources(self, query: SourceQuery, *, limit: int, offset: int = 0) -> SourceList:
        """See `Overview.sources`."""
        return await self._read(lambda connection, now: _listed(connection, query, limit, offset, now))

    async def counts(self) -> SourceCounts:
        """See `Overview.counts`."""
        return await self._read(lambda connection, _: _counted(connection))

    async def source(self, source_id: int, *, fetches: int, newest: int) -> SourceDetail | None:
        """See `Overview.source`."""
        return await self._read(
            lambda connection, now: _detailed(connection, source_id, fetches, newest, now)
        )

    async def headlines(self, limit: int) -> list[Headline]:
        """See `Overview.headlines`."""
        newest = _HEADLINES.order_by(articles.c.fetched_at.desc(), articles.c.id.desc()).limit(limit)
        return await self._read(lambda connection, _: _headlines(connection, newest))

    async def polls(self, since: datetime, until: datetime) -> PollCounts:
        """See `Overview.polls`."""
        return await self._read(lambda connection, _: _polls(connection, since, until))


def _listed(connection: Connection, query: SourceQuery, limit: int, offset: int, now: datetime) -> SourceList:
    conditions = _conditions(query)
    total = connection.execute(select(func.count()).select_from(sources).where(*conditions)).scalar_one()
    # The ids first: rows carry cursors and options, and sorting would carry those of every source along.
    chosen = select(_row.id).where(*conditions).order_by(*_order(query)).limit(limit).offset(offset)
    ids = list(connection.execute(chosen).scalars())
    by_id = {status.source.id: status for status in statuses_of(connection, ids, now)}
    return SourceList(tuple(by_id[source_id] for source_id in ids if source_id in by_id), total)


def _conditions(query: SourceQuery) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = [_LISTED]
    if query.search:
        conditions.append(_row.name.icontains(storable(query.search), autoescape=True))
    if query.standing is not None:
        conditions.append(_STANDING.in_([query.standing]))
    if query.category is not None:
        conditions.append(_row.category == storable(query.category))
    if query.kind is not None:
        conditions.append(_row.kind == storable(query.kind))
    if query.failing:
        conditions.append(_FAILING)
    return conditions


def _order(query: SourceQuery) -> list[ColumnElement[Any]]:
    by_name: list[ColumnElement[Any]] = [_row.name.asc(), _row.id.asc()]
    if query.sort == "name":
        return [_row.name.desc(), _row.id.desc()] if query.descending else by_name
    key = _ORDERS[query.sort]
    return [key.desc().nulls_last() if query.descending else key.asc().nulls_first(), *by_name]


def _counted(connection: Connection) -> SourceCounts:
    standing = select(_STANDING, func.count()).where(_LISTED).group_by(_STANDING)
    failing = select(func.count()).select_from(sources).where(_LISTED, _FAILING)
    return SourceCounts(
        standings={row[0]: row[1] for row in connection.execute(standing)},
        failing=connection.execute(failing).scalar_one(),
        kinds=_largest(connection, _row.kind),
        categories=_largest(connection, _row.category),
    )


def _largest(connection: Connection, column: ColumnElement[Any]) -> dict[str, int]:
    number = func.count().label("number")
    grouped = select(column, number).where(_LISTED, column.is_not(None)).group_by(column)
    found = connection.execute(grouped.order_by(number.desc(), column).limit(GROUPS_AT_MOST))
    return {row[0]: row[1] for row in found}


def _detailed(
    connection: Connection, source_id: int, polls: int, newest: int, now: datetime
) -> SourceDetail | None:
    found = statuses_of(connection, [source_id], now)
    if not found:
        return None
    its = articles.c.source_id == source_id
    # By publication: of that there is an index for each source.
    headlines = _HEADLINES.where(its).order_by(articles.c.published_at.desc(), articles.c.id.desc())
    set_aside = select(func.count()).where(entries_set_aside.c.source_id == source_id)
    return SourceDetail(
        status=found[0],
        fetches=tuple(polls_log.listed(connection, found[0].source.name, polls)),
        newest=tuple(_headlines(connection, headlines.limit(newest))),
        articles=connection.execute(_count_some(its)).scalar_one(),
        entries_set_aside=connection.execute(set_aside).scalar_one(),
    )


def _count_some(condition: ColumnElement[bool]) -> Select[int]:
    some = select(literal(1)).select_from(articles).where(condition).limit(COUNTED_AT_MOST).subquery()
    return select(func.count()).select_from(some)


def _headlines(connection: Connection, finding: Select[Any]) -> list[Headline]:
    return [Headline(**row._mapping) for row in connection.execute(finding)]


def _polls(connection: Connection, since: datetime, until: datetime) -> PollCounts:
    failed = case((fetches.c.outcome == "failed", 1), else_=0)
    sums = (
        func.count(),
        func.coalesce(func.sum(failed), 0),
        func.coalesce(func.sum(fetches.c.articles_new), 0),
        func.coalesce(func.sum(fetches.c.articles_updated), 0),
    )
    counting = select(*sums).where(fetches.c.fetched_at >= since, fetches.c.fetched_at < until)
    polls, failures, new, updated = connection.execute(counting).one()
    return PollCounts(polls - failures, failures, new, updated)
