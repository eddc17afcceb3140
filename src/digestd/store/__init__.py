"""The store's public face: what it takes, what it gives, and the protocol that every store keeps.

All times are the database's own: callers hand in and get back seconds. `claim` and `record` take lists so
that what queued while the last transaction ran shares the next one (:mod:`digestd.store.batching`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from digestd.model import Article, ArticleVersion, Fetch, Origin, SourceSpec, SourceStatus
from digestd.store.budgets import Budgets
from digestd.store.expiry import Purged, RetentionLimits
from digestd.store.extraction import (
    SAME_TEXT_LIMIT,
    ArticleQuery,
    PageClaim,
    PageClaims,
    PageLost,
    PageQueue,
    PageRecord,
    PageRecorded,
)
from digestd.store.overview import Overview
from digestd.store.polls import (
    Claim,
    ClaimRequest,
    Duplicate,
    EntrySetAside,
    Fetched,
    Gone,
    Lease,
    LeaseLost,
    Recorded,
    Refused,
    SetAside,
    StepRecord,
    Wait,
)
from digestd.store.sharing import Changes, HostPause, HostStart, ListOwner, SyncReport

__all__ = [
    "SAME_TEXT_LIMIT",
    "ArticleQuery",
    "Budgets",
    "Changes",
    "Claim",
    "ClaimRequest",
    "Duplicate",
    "EntrySetAside",
    "Fetched",
    "Gone",
    "HostPause",
    "HostStart",
    "Lease",
    "LeaseLost",
    "ListOwner",
    "Overview",
    "PageClaim",
    "PageClaims",
    "PageLost",
    "PageQueue",
    "PageRecord",
    "PageRecorded",
    "Purged",
    "Recorded",
    "Refused",
    "RetentionLimits",
    "SetAside",
    "StepRecord",
    "Store",
    "SyncReport",
    "Wait",
]


class Store(Protocol):
    """Keeping it. Every method raises :class:`digestd.errors.StoreUnavailable` when the database cannot be
    had, after at most the connect or statement time-out; then nothing of the call was written, except where
    the connection broke during the commit itself (what was fenced is written once or not at all).

    Cancellation: each method is one transaction in a thread. A call that was begun is finished whatever is
    cancelled, except `release`; a call that is cancelled before it begins has done nothing.
    """

    @property
    def overview(self) -> Overview:
        """What people are shown of it."""
        ...

    @property
    def budgets(self) -> Budgets:
        """What APIs may cost, counted."""
        ...

    async def check_schema(self) -> None:
        """Raise :class:`digestd.errors.SchemaError` unless the schema is the one that this digestd needs.

        Cancellation: returns at once.
        """
        ...

    async def sync_sources(self, specs: Sequence[SourceSpec], *, fingerprint: str = "") -> SyncReport:
        """Make the sources of origin `file` be `specs` (names are unique), which `fingerprint` stands for.

        A name that left becomes `removed`, and is taken up again when it returns. A new name with the kind
        and URL of a source that left with this call is that source, renamed. A name known with origin `cli`
        becomes the file's. A changed URL clears `effective_url`, validators and cursor; a changed kind too.
        What a command said of `enabled` stands until the file changes its own word, or the source leaves.
        Articles are never touched. A `duplicate` is `active` again where its URL changes, and where the source that is
        kept for it leaves, is disabled or gets another URL; so it is with the commands below.

        Of several processes the one that calls last has its way. None may call again before its own files change:
        so two with different files never fight.
        """
        ...

    async def add_source(self, spec: SourceSpec) -> bool:
        """Add a source of origin `cli`; False, and nothing is done, if its name is taken.

        A source of that name that was removed, from wherever it came, is taken up again as `spec`: with its articles,
        and with what was learnt of it if kind and URL are the same.
        """
        ...

    async def add_sources(self, specs: Sequence[SourceSpec]) -> list[bool]:
        """Add sources of origin `cli`, all in one transaction; returns of each whether it was added.

        One whose name is taken, or whose kind and URL, is passed over, as is one that stands further up. A source of
        that name that was removed is taken up again as by `add_source`.
        """
        ...

    async def set_enabled(self, name: str, enabled: bool) -> Origin | None:
        """Enable or disable a source; returns its origin, None if there is none of that name.

        For one of origin `file` that goes over the file's word, until the file changes its own. A `duplicate` that is
        enabled is polled beside the source that it duplicates.
        """
        ...

    async def remove_source(self, name: str) -> Origin | None:
        """Remove a source of origin `cli` and keep its articles; a poll under way can write no more.

        Returns its origin: with `file` nothing was done, since it has to be taken out of there. None if there is none
        of that name.
        """
        ...

    async def poll_now(self, name: str) -> bool:
        """Make a source due at once; False if there is none of that name.

        A lease in force stays, and what its poll records decides. A source that is put off for its unfinished claims is
        given out once. One that is disabled stays so.
        """
        ...

    async def changed_sources(
        self, since: datetime | None, told: Collection[tuple[int, object]] = frozenset()
    ) -> Changes:
        """Give the sources that were added, changed, removed or asked for since `since`, the `latest` of an earlier
        call; with None no sources, only where to begin: who reads all of them after that has what is `told` then.

        What was changed in the minute before is looked at again, as it may have been committed since; what stands in
        `told`, as that call gave it, is left out. Reads as many index entries as were changed in that time.
        """
        ...

    def changes_told(self) -> AbstractAsyncContextManager[Callable[[], Awaitable[None]]]:
        """Be told when sources change: gives a function that waits until some process has changed some since it
        returned last, or since the block was entered.

        Only PostgreSQL tells. With any other store it waits for ever, and behind a pooler it may, or may refuse:
        whoever follows changes has to ask :meth:`changed_sources` in any case, only less often.

        Resource handling: a connection of its own, closed when the block is left.
        Error handling: `StoreUnavailable` on entering and from the function, when the connection cannot be made or
        breaks; enter again later.
        Cancellation: at any moment, and at once.
        """
        ...

    async def sources(self, *, count_articles: bool = False, name: str | None = None) -> list[SourceStatus]:
        """Every source that is not `removed`, by name, with its state, or the one called `name`; one whose row cannot
        be read says so in `last_error`.

        With `count_articles` the articles of each, and its entries set aside, are counted, which reads all of
        them; else both numbers are 0.
        """
        ...

    async def claim(self, requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone | Refused]:
        """Claim sources, one answer per request in order. A claim counts in `unfinished_claims` until it is
        recorded.

        A lease of another is never taken before it expires. A source with
        :data:`~digestd.model.UNFINISHED_CLAIMS_LIMIT` or more unfinished claims is put off once for each further one
        (growing, at most a day) before it is given out. A source whose row cannot be read is answered
        `Refused`. With `host`, a claim is also a start there, as by `start_at_hosts`; where that has to wait,
        nothing is claimed and nothing counted.
        """
        ...

    async def start_at_hosts(self, starts: Sequence[HostStart]) -> list[Wait | None]:
        """Reserve a start at each host, for all processes on the database and in this order; None where it is, else
        how long to wait."""
        ...

    async def pause_hosts(self, pauses: Sequence[HostPause]) -> None:
        """Let nobody start at these hosts while they are paused; a longer pause that is in force stays."""
        ...

    async def paused_hosts(self) -> Mapping[str, float]:
        """The keys of hosts that want to be left alone just now, the first 300 characters of each, and for how many
        seconds more."""
        ...

    async def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        """Write what steps brought, each under a savepoint of its own, one answer per record in order.

        New entries become articles, known ones with another content hash are updated, and what they said before is kept
        as a version; `last_seen_at` moves for all. Entries that the database refuses, and those left out by the parser,
        are kept in `entries_set_aside` by the same transaction, until they become articles; a step whose entries cannot
        even be kept there is `Refused`.
        """
        ...

    async def entries_set_aside(self, limit: int) -> list[EntrySetAside]:
        """The entries that could not become articles, those seen last first."""
        ...

    async def fetches(self, source_name: str, limit: int) -> list[Fetch]:
        """The last polls of a source that failed or brought entries, the latest first."""
        ...

    async def forget_fetches(self, older_than_seconds: float, limit: int) -> int:
        """Drop up to `limit` of the oldest polls from the log, if they are older than so; returns how many went."""
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
        ends. An article whose lease ended with :data:`~digestd.model.UNFINISHED_CLAIMS_LIMIT` or more unfinished
        claims is put off for 30 seconds, doubled for each further one; after the tenth it is `failed`. One whose row
        cannot be read or claimed is `failed` too. Sources that were removed or disabled keep their turn: their
        articles were seen.
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
        """The articles that `query` allows, by when they were first seen, newest first; with `revised`, by when that
        was."""
        ...

    async def article_versions(self, article_id: int) -> list[ArticleVersion]:
        """What the article with this id said before, the first first.

        At most :data:`~digestd.feed.revision.VERSIONS_LIMIT` of them: see :func:`digestd.feed.revision.superfluous`.
        """
        ...

    async def retry_pages(self, query: ArticleQuery) -> int:
        """Put the articles that `query` allows back into the queue, due at once and with a clean record of failures;
        returns how many. Those that have no link, or are `done` or under a lease, stay as they are."""
        ...

    async def delete_articles(self, ids: Collection[int]) -> list[Article]:
        """Delete the articles `ids`, and return those of them that there were, those first seen last first.

        What is still served does not come back: a tombstone stays where each of them was, until its entry has been
        absent from the whole documents of its source for 90 days.
        """
        ...

    async def purge(self, limits: RetentionLimits, after: int = 0) -> Purged:
        """Delete what `limits` let go, of some sources behind the one with the id `after`, with tombstones as in
        `delete_articles`; and tombstones that are needed no longer. Call it again with what it returns as `after`.

        At most :data:`~digestd.store.expiry.PURGE_LIMIT` of either, and never an article that may be in its source's
        document: one is known to have left when a step that `proves_absence` was recorded without it. Of what others
        have locked nothing is waited for.
        """
        ...
