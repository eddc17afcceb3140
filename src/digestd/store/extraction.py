"""What is asked and answered about the pages of articles: claims, records, the queue; and which articles are meant."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from digestd.model import Extraction, Page

SAME_TEXT_LIMIT = 3
"""From this many articles of one source on, with canonical URLs of their own, whose pages say the same, that text is
no article's: a login wall, or what a page says without its scripts."""


@dataclass(frozen=True, slots=True)
class PageClaim:
    """The right to fetch the page of one article and to write what came of it, until the lease ends.

    `attempt` is the fence. `failures` counts the attempts that ended in a failure, `unfinished` the claims in a row
    before this one that nothing was recorded for. `feed_html` is the longest text the feed itself gave (sanitised
    HTML), `dated` tells that the feed gave a date.
    """

    article_id: int
    source_id: int
    source_name: str
    url: str
    title: str
    feed_html: str
    dated: bool
    attempt: int
    failures: int
    unfinished: int


@dataclass(frozen=True, slots=True)
class PageClaims:
    """The articles claimed. Where there are none, `due_in_seconds` says when the next one is due (0 when others are at
    work on what is due just now), None when nothing is pending."""

    claims: tuple[PageClaim, ...]
    due_in_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class PageRecord:
    """What came of the attempt `attempt` at an article's page.

    `page` stands with `done` and nowhere else. With `pending` it is tried again in `next_delay_seconds`, and `failures`
    says how many attempts have failed by then. `error` is why it is not done.
    """

    article_id: int
    attempt: int
    extraction: Extraction
    failures: int
    error: str | None = None
    next_delay_seconds: float = 0.0
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class PageRecorded:
    """It is committed. `same_text` counts the articles of its source, itself among them, that are `failed` by now
    because their pages say the same: 0, or at least :data:`SAME_TEXT_LIMIT`."""

    same_text: int = 0


@dataclass(frozen=True, slots=True)
class PageLost:
    """The attempt was no longer ours: nothing was written."""


@dataclass(frozen=True, slots=True)
class PageQueue:
    """The queue of extraction: how many articles are pending, how many of them are due, and for how many seconds the
    one that has waited longest has been known (None when nothing is pending)."""

    pending: int
    due: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class ArticleQuery:
    """Which articles: all that every field set allows, the newest first, at most `limit` of them.

    `since` is compared with when they were first seen. `ids` are article ids. With `revised`, only those that were
    updated, the last one first; `since` is compared with that then.
    """

    source: str | None = None
    since: datetime | None = None
    extraction: Extraction | None = None
    ids: tuple[int, ...] | None = None
    limit: int | None = None
    revised: bool = False
