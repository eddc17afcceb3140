"""What people are shown of the store in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from digestd.model import Fetch, SourceStatus
from digestd.store.overview import (
    COUNTED_AT_MOST,
    GROUPS_AT_MOST,
    Headline,
    PollCounts,
    SourceCounts,
    SourceDetail,
    SourceList,
    SourceQuery,
    Standing,
)
from digestd.store.text import storable

Row = dict[str, Any]

_RANKS = ("suspect", "failing", "gone", "degraded", "duplicate", "active", "disabled")
_LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


class MemoryOverview:
    """Keeps the `Overview` protocol over the tables of a `MemoryStore`; `reach` raises during an outage."""

    def __init__(
        self,
        rows: Mapping[int, Row],
        kept: Mapping[int, Row],
        log: Callable[[], Sequence[tuple[str, Fetch]]],
        set_aside: Collection[tuple[int, str]],
        status_of: Callable[[Row], SourceStatus],
        reach: Callable[[], Awaitable[None]],
    ) -> None:
        self._rows = rows
        self._kept = kept
        self._log = log
        self._set_aside = set_aside
        self._status_of = status_of
        self._reach = reach

    async def sources(self, query: SourceQuery, *, limit: int, offset: int = 0) -> SourceList:
        """See `Overview.sources`."""
        await self._reach()
        found = [status for status in self._listed() if _is_asked_for(status, query)]
        found.sort(key=lambda one: (one.source.name, one.source.id))
        if query.sort == "name":
            found = found[::-1] if query.descending else found
        else:
            found.sort(key=lambda one: _key(one, query), reverse=query.descending)
        return SourceList(tuple(found[offset : offset + limit]), len(found))

    async def counts(self) -> SourceCounts:
        """See `Overview.counts`."""
        await self._reach()
        listed = self._listed()
        return SourceCounts(
            Counter(_standing(one) for one in listed),
            sum(one.failing for one in listed),
            _largest(one.source.spec.kind for one in listed),
            _largest(one.source.spec.category for one in listed),
        )

    async def source(self, source_id: int, *, fetches: int, newest: int) -> SourceDetail | None:
        """See `Overview.source`."""
        await self._reach()
        if source_id not in self._rows:
            return None
        status = self._status_of(self._rows[source_id])
        its = [article for article in self._kept.values() if article["source_id"] == source_id]
        its.sort(key=lambda one: (one["published_at"], one["id"]), reverse=True)
        polls = [fetch for name, fetch in self._log() if name == status.source.name]
        return SourceDetail(
            status,
            tuple(polls[::-1][:fetches]),
            tuple(map(self._headline, its[:newest])),
            min(len(its), COUNTED_AT_MOST),
            sum(key[0] == source_id for key in self._set_aside),
        )

    async def headlines(self, limit: int) -> list[Headline]:
        """See `Overview.headlines`."""
        await self._reach()
        seen = sorted(self._kept.values(), key=lambda one: (one["fetched_at"], one["id"]), reverse=True)
        return [self._headline(article) for article in seen[:limit]]

    async def polls(self, since: datetime, until: datetime) -> PollCounts:
        """See `Overview.polls`."""
        await self._reach()
        its = [fetch for _, fetch in self._log() if since <= fetch.fetched_at < until]
        failed = sum(fetch.outcome == "failed" for fetch in its)
        new, updated = sum(fetch.articles_new for fetch in its), sum(fetch.articles_updated for fetch in its)
        return PollCounts(len(its) - failed, failed, new, updated)

    def _listed(self) -> list[SourceStatus]:
        return [self._status_of(row) for row in self._rows.values() if row["state"] != "removed"]

    def _headline(self, article: Row) -> Headline:
        values = {field.name: article[field.name] for field in fields(Headline) if field.name in article}
        return Headline(**values, source_name=self._rows[article["source_id"]]["name"])


def _standing(status: SourceStatus) -> Standing:
    return status.state if status.source.spec.enabled else "disabled"


def _is_asked_for(status: SourceStatus, query: SourceQuery) -> bool:
    spec = status.source.spec
    return (
        storable(query.search).lower() in spec.name.lower()
        and query.standing in (None, _standing(status))
        and query.category in (None, spec.category)
        and query.kind in (None, spec.kind)
        and (status.failing or not query.failing)
    )


def _key(status: SourceStatus, query: SourceQuery) -> Any:
    if query.sort == "trouble":
        word: str = _standing(status)
        if status.failing:
            word = "failing" if status.unfinished_claims < 3 else "suspect"
        return _RANKS.index(word)
    column = {"last_success": "last_success_at", "next_poll": "next_fetch_at", "last_new": "last_new_at"}
    return getattr(status, column[query.sort]) or _LONG_AGO


def _largest(words: Iterable[str | None]) -> dict[str, int]:
    counted = Counter(word for word in words if word is not None)
    return dict(sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:GROUPS_AT_MOST])
