"""The store's public face: what it takes, what it gives, and the protocol that every store keeps.

All times are the database's own: callers hand in and get back seconds. `claim` and `record` take lists so
that what queued while the last transaction ran shares the next one (:mod:`digestd.store.batching`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from digestd.model import Article, Entry, PollState, Source, SourceSpec, SourceStatus, State

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
    `lease_seconds`. `succeeded` marks a step that was not a failure (it moves `last_success_at`).
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
    last_error: str | None = None
    final: bool = True


@dataclass(frozen=True, slots=True)
class SetAside:
    """An entry the database refused, and why. The other entries of its step were kept."""

    guid: str | None
    title: str
    reason: str


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
    """The step could not be written at all, which is a bug: nothing of it was, and its lease stands until it
    expires.

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
        """Every source that is not `removed`, by name, with its state.

        With `count_articles` the articles of each are counted, which reads all of them; else `articles` is 0.
        """
        ...

    async def claim(self, requests: Sequence[ClaimRequest]) -> list[Claim | Wait | Gone]:
        """Claim sources, one answer per request in order. A claim counts in `unfinished_claims` until it is
        recorded.

        A lease of another is never taken before it expires. A source with :data:`UNFINISHED_CLAIMS_LIMIT` or
        more unfinished claims is put off once for each further one (growing, at most a day) before it is
        given out.
        """
        ...

    async def record(self, records: Sequence[StepRecord]) -> list[Recorded | LeaseLost | Refused]:
        """Write what steps brought, each under a savepoint of its own, one answer per record in order.

        New entries become articles, known ones with another content hash are updated; `last_seen_at` moves
        for all.
        """
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
