"""What people are shown of the store: reads only, each bounded by what fits on a page.

A face of its own, so that who shows it cannot write, and sees nothing of the rest of the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol, TypeAlias

from digestd.model import Fetch, PublishedFrom, SourceStatus, State

Standing: TypeAlias = State | Literal["disabled"]
"""The state of a source as people are shown it: one that is not polled is `disabled`, whatever its state was."""

SortKey: TypeAlias = Literal["trouble", "name", "last_success", "next_poll", "last_new"]
"""`trouble`: suspects of crashing digestd, then failing, gone, degraded, duplicate, active and disabled sources, those
of a kind by name. `next_poll` takes what is due at once first, the other two what never was."""

COUNTED_AT_MOST = 10_000
"""Up to so many articles of a source are counted."""
GROUPS_AT_MOST = 200
"""So many kinds and categories are named, the largest ones."""


@dataclass(frozen=True, slots=True)
class SourceQuery:
    """Which sources, in which order. None, and an empty `search`, stand for all; `search` is a part of the name,
    where small and capital letters (of ASCII, at least) are the same. Names are compared as the database does."""

    search: str = ""
    standing: Standing | None = None
    category: str | None = None
    kind: str | None = None
    failing: bool = False
    sort: SortKey = "trouble"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class SourceList:
    """Some of the sources that were asked for, and how many there are of them in all."""

    statuses: tuple[SourceStatus, ...]
    total: int


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """How many sources there are, by what they can be chosen by; of kinds and categories the largest ones.

    `failing` is counted as by :attr:`digestd.model.SourceStatus.failing`.
    """

    standings: Mapping[Standing, int]
    failing: int
    kinds: Mapping[str, int]
    categories: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.standings.values())


@dataclass(frozen=True, slots=True)
class Headline:
    """An article without its texts."""

    id: int
    source_id: int
    source_name: str
    title: str
    url: str | None
    published_at: datetime
    published_from: PublishedFrom
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class SourceDetail:
    """A source, its last polls that failed or brought entries, and its newest articles. Of its articles at most
    :data:`COUNTED_AT_MOST` are counted."""

    status: SourceStatus
    fetches: tuple[Fetch, ...]
    newest: tuple[Headline, ...]
    articles: int
    entries_set_aside: int


@dataclass(frozen=True, slots=True)
class PollCounts:
    """What the log of polls says of some time: polls that brought entries, polls that failed, and articles."""

    brought: int
    failed: int
    articles_new: int
    articles_updated: int


class Overview(Protocol):
    """Every method raises :class:`digestd.errors.StoreUnavailable` when the database cannot be had.

    Cancellation: at once; the thread ends by itself, within the time-outs of the database.
    """

    async def sources(self, query: SourceQuery, *, limit: int, offset: int = 0) -> SourceList:
        """Up to `limit` of the sources that `query` asks for, without the first `offset`. Nothing is counted of each.

        Reads the rows of all sources, but for the list by name of all of them, which has an index."""
        ...

    async def counts(self) -> SourceCounts:
        """How many sources there are. Reads the rows of all of them."""
        ...

    async def source(self, source_id: int, *, fetches: int, newest: int) -> SourceDetail | None:
        """The source `source_id`, removed or not, with up to so many polls and articles; None if there is none."""
        ...

    async def headlines(self, limit: int) -> list[Headline]:
        """The articles that were seen for the first time last. Reads as many index entries."""
        ...

    async def polls(self, since: datetime, until: datetime) -> PollCounts:
        """What the log has of polls from `since` on and before `until`. Reads as many of its rows."""
        ...
