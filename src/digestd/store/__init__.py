"""The store's public face: what it takes, what it gives, and the protocol that every store keeps.

All times are the database's own: callers hand in and get back seconds. `claim` and `record` take lists so
that what queued while the last transaction ran shares the next one (:mod:`digestd.store.batching`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from digestd.model import (
    Article,
    Entry,
    Extraction,
    LeftOut,
    Page,
    PollState,
    Source,
    SourceSpec,
    SourceStatus,
    State,
)

SAME_TEXT_LIMIT = 3
"""From this many articles of one source on, with canonical URLs of their own, whose pages say the same, that text is
no article's: a login wall, or what a page says without its scripts."""
UNFINISHED_CLAIMS_LIMIT = 3
"""From this many claims in a row that were never recorded on, a source is suspected of killing the
process."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Ask for the right to poll a source for `lease_seconds`; `force` claims it though it is not due."""

    source_id: int
    lease_seconds: float
    force: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to poll `source` until the lease ends. Every write names `token`.

    `unfinished_claims` counts the earlier claims in a row that nothing was recorded for: each one a process
    that died while polling this source.
    """

    source: Source
    state: PollState
    token: str
    consecutive_failures: int
    unfinished_claims: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Not now: come back in `seconds` (more than 0). `reason` is `not_due`, `leased` or
    `unfinished_claims`."""

    seconds: float
    reason: str
    unfinished_claims: int = 0


@dataclass(frozen=True, slots=True)
class Gone:
    """The source is not to be polled any more: removed, disabled, or a duplicate; or its row is not there."""

    reason: str


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What one step brought, to be written whole and only while `token` still holds the lease.

    `consecutive_failures` and `state` are what the row shall say afterwards. With `final` the lease is given
    back and the source is due again in `next_delay_seconds`; without, the lease is renewed for
    `lease_seconds`. `succeeded` marks a step that was not a failure (it moves `last_success_at`). `left_out` are
    entries that could not be read: they are kept in `entries_set_aside`. `skip_pages` says why the pages of new
    articles are not to be fetched; None: they are.
    """

    source_id: int
    token: str
    next_state: PollState
    succeeded: bool
    consecutive_failures: int
    state: State
    schedule_reason: str
    next_delay_seconds: float
    lease_seconds: float
    entries: tuple[Entry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    skip_pages: str | None = None
    last_error: str | None = None
    final: bool = True


@dataclass(frozen=True, slots=True)
class SetAside:
    """An entry the database refused, and why. The other entries of its step were kept, and so is it, beside them."""

    guid: str | None
    title: str
    reason: str


@dataclass(frozen=True, slots=True)
class EntrySetAside:
    """An entry that is no article, as it is kept: why, what was written of it (JSON), and when it was seen."""

    source_name: str
    guid: str | None
    title: str
    reason: str
    entry: str
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True)
class Recorded:
    """The step is committed."""

    articles_new: int
    articles_updated: int
    set_aside: tuple[SetAside, ...] = ()


@dataclass(frozen=True, slots=True)
class LeaseLost:
    """The lease was no longer ours: nothing of the step was written."""


@dataclass(frozen=True, slots=True)
class Refused:
    """What was asked for one source could not be done at all, which is a bug or a damaged row: nothing of it was
    written. The lease of a step that is refused stands until it expires.

    `error` is for the task of this source to raise, so that no other one suffers.
    """

    error: Exception


@dataclass(frozen=True, slots=True)
class Lease:
    """A source and the token it was claimed with."""

    source_id: int
    token: str


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What `sync_sources` did, as names."""

    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    renamed: tuple[tuple[str, str], ...] = ()
    removed: tuple[str, ...] = ()
    returned: tuple[str, ...] = ()


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

    `since` is compared with when they were first seen. `ids` are article ids.
    """

    source: str | None = None
    since: datetime | None = None
    extraction: Extraction | None = None
    ids: tuple[int, ...] | None = None
    limit: int | None = None


class Store(Protocol):
    """Keeping it. Every method raises :class:`digestd.errors.StoreUnavailable` when the database cannot be
    had, after at most the connect or statement time-out; then nothing of the call was written, except where
    the connection broke during the commit itself (what was fenced is written once or not at all).

    Cancellation: each method is one transaction in a thread. A call that was begun is finished whatever is
    cancelled, except `release`; a call that is cancelled before it begins has done nothing.
    """

    async def sync_sources(self, specs: Sequence[SourceSpec]) -> SyncReport:
        """Make the sources of origin `file` be `specs` (names are unique).

        A name that left becomes `removed`, and is taken up again when it returns. A new name with the kind
        and URL of a source that left with this call is that source, renamed. A name known with origin `cli`
        becomes the file's. A changed URL clears `effective_url`, validators and cursor; a changed kind too.
        Articles are never touched.
        """
        ...

    async def sources(self, *, count_articles: bool = False) -> list[SourceStatus]:
        """Every source that is not `removed`, by name, with its state; one whose row cannot be read says so in
        `last_error`.

        With `count_articles` the articles of each, and its entries set aside, are counted, which reads all of
        them; else both numbers are 0.
        """
        ...

    async def claim(self, requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        """Claim sources, one answer per request in order. A claim counts in `unfinished_claims` until it is
        recorded.

        A lease of another is never taken before it expires. A source with :data:`UNFINISHED_CLAIMS_LIMIT` or
        more unfinished claims is put off once for each further one (growing, at most a day) before it is
        given out. A source whose row cannot be read is answered `Refused`.
        """
        ...

    async def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        """Write what steps brought, each under a savepoint of its own, one answer per record in order.

        New entries become articles, known ones with another content hash are updated; `last_seen_at` moves
        for all. Entries that the database refuses, and those left out by the parser, are kept in
        `entries_set_aside` by the same transaction, until they become articles; a step whose entries cannot even be
        kept there is `Refused`.
        """
        ...

    async def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        """The entries that could not become articles, those seen last first."""
        ...

    async def release(self, leases: Sequence[Lease]) -> None:
        """Give leases back unused: the source is as due as before and the claim no longer counts. Lost ones
        are passed over.

        Cancellation: returns at once, and the leases may or may not be given back: at shutdown nothing waits
        for a locked database, and leases end by themselves.
        """
        ...

    async def newest_articles(self, per_source: int, since: datetime | None = None) -> list[Article]:
        """For each source with articles, by name, its newest `per_source` by publication date, newest first.

        Sources that were removed are among them. With `since`, only articles published at or after
        that moment.
        """
        ...

    async def claim_pages(
        self,
        limit: int,
        lease_seconds: float,
        *,
        per_source: int | None = None,
        source_ids: Collection[int] | None = None,
        except_source_ids: Collection[int] = (),
    ) -> PageClaims:
        """Claim up to `limit` articles whose extraction is due, of the sources `source_ids` or of all,
        but none of `except_source_ids`, and at most `per_source` of one.

        Fair between sources: each source with something due gives its newest before any gives a second one; then the
        newest first. (Where many sources have something due, a claim looks at 500 of them, the next at those after
        them.) A claim adds one to `extraction_attempts` and `extraction_unfinished`, and is due again when the lease
        ends. An article whose lease ended with :data:`UNFINISHED_CLAIMS_LIMIT` or more unfinished claims is put off for
        30 seconds, doubled for each further one; after the tenth it is `failed`. One whose row cannot be read or
        claimed is `failed` too. Sources that were removed or disabled keep their turn: their articles were seen.
        """
        ...

    async def record_pages(self, records: Sequence[PageRecord]) -> list[PageRecorded | PageLost | Refused]:
        """Write what came of attempts, each under a savepoint of its own, one answer per record in order.

        Written only while the article is `pending` and the attempt is the latest; resets `extraction_unfinished`. The
        feed's own summary and content are never touched. `done` fills text, text hash and canonical URL, and what the
        feed did not give: author, language, and the date (`published_from` `page`; never one in the future). Where the
        pages of :data:`SAME_TEXT_LIMIT` articles say the same, all of them become `failed` and lose that text.
        """
        ...

    async def page_queue(self) -> PageQueue:
        """How long the queue of extraction is. Reads as many index entries as articles are pending."""
        ...

    async def articles(self, query: ArticleQuery) -> list[Article]:
        """The articles that `query` allows, by when they were first seen, newest first."""
        ...

    async def retry_pages(self, query: ArticleQuery) -> int:
        """Put the articles that `query` allows back into the queue, due at once and with a clean record of failures;
        returns how many. Those that have no link, or are `done` or under a lease, stay as they are."""
        ...
