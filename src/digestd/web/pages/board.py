"""What the pages show of the database, read with a deadline."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import trio

from digestd.store.overview import (
    Headline,
    Overview,
    PollCounts,
    SourceCounts,
    SourceDetail,
    SourceList,
    SourceQuery,
)
from digestd.web.pages.asking import Asking, Away

ANSWER_SECONDS = 3.0
"""How long a page waits for the database."""
HOURS_SECONDS = 1.0
"""How much of it may go into counting past hours; those left are counted for the next page."""
HOURS = 24
PER_PAGE = 100
"""Sources on one page."""
HEADLINES = 8
"""Articles on the first page."""
ITS_POLLS = 25
ITS_ARTICLES = 25
"""What the page of a source shows."""

_Page = TypeVar("_Page")
_HOUR = timedelta(hours=1)
# Polls are recorded with the moment at which their transaction began.
_SETTLED = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Hour:
    """What the log of polls has of the hour that begins at `since`; None while it was not counted yet."""

    since: datetime
    polls: PollCounts | None


@dataclass(frozen=True, slots=True)
class Front:
    """The first page. `page` is the one that is shown, counted from 1: the last one where there are fewer."""

    counts: SourceCounts
    listed: SourceList
    page: int
    headlines: list[Headline]
    hours: list[Hour]


class Board:
    """Reads `overview`, by the clock `now`.

    Both methods raise :class:`digestd.web.pages.asking.Away` when the database is not to be had, or gives no answer for
    :data:`ANSWER_SECONDS`. Cancellation: at once.
    """

    def __init__(self, overview: Overview, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._overview = overview
        self._now = now
        self._asking = Asking()
        self._past: dict[datetime, PollCounts] = {}

    async def front(self, query: SourceQuery, page: int) -> Front:
        """The sources that `query` asks for, and what else stands on the first page."""
        return await self._in_time(lambda: self._front(query, page))

    async def source(self, source_id: int) -> SourceDetail | None:
        """The source `source_id`; None if there is none."""

        async def ask() -> SourceDetail | None:
            return await self._overview.source(source_id, fetches=ITS_POLLS, newest=ITS_ARTICLES)

        return await self._in_time(lambda: self._asking.answer(("source", source_id), ask))

    async def _in_time(self, read: Callable[[], Awaitable[_Page]]) -> _Page:
        try:
            with trio.fail_after(ANSWER_SECONDS):
                return await read()
        except trio.TooSlowError:
            words = f"the database has given no answer for {ANSWER_SECONDS:g} s"
            self._asking.gave_up(words)
            raise Away(words) from None

    async def _front(self, query: SourceQuery, page: int) -> Front:
        counts = await self._asking.answer("counts", self._overview.counts)
        listed, page = await self._listed(query, page)
        headlines = await self._asking.answer("headlines", lambda: self._overview.headlines(HEADLINES))
        return Front(counts, listed, page, headlines, await self._hours())

    async def _listed(self, query: SourceQuery, page: int) -> tuple[SourceList, int]:
        listed = await self._page(query, page)
        last = max(1, -(-listed.total // PER_PAGE))
        return (listed, page) if page <= last else (await self._page(query, last), last)

    async def _page(self, query: SourceQuery, page: int) -> SourceList:
        async def ask() -> SourceList:
            return await self._overview.sources(query, limit=PER_PAGE, offset=(page - 1) * PER_PAGE)

        return await self._asking.answer((query, page), ask)

    async def _hours(self) -> list[Hour]:
        """The last :data:`HOURS`, the latest last. An hour that is over is counted once."""
        now = self._now()
        this = now.replace(minute=0, second=0, microsecond=0)
        begins = [this - number * _HOUR for number in range(HOURS)]
        self._past = {since: polls for since, polls in self._past.items() if since in begins}
        counted = dict(self._past)
        with trio.move_on_after(HOURS_SECONDS):
            for since in begins:
                if since not in counted:
                    counted[since] = await self._polls(since)
                    if since + _HOUR + _SETTLED <= now:
                        self._past[since] = counted[since]
        return [Hour(since, counted.get(since)) for since in reversed(begins)]

    async def _polls(self, since: datetime) -> PollCounts:
        return await self._asking.answer(("polls", since), lambda: self._overview.polls(since, since + _HOUR))
