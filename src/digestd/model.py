"""The frozen records that pass between rooms. They hold data and no behaviour beyond what is true of the data.

Times are aware datetimes in UTC; durations are seconds as float; sizes are bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypeAlias

Origin: TypeAlias = Literal["file", "cli"]
State: TypeAlias = Literal["active", "degraded", "gone", "removed", "duplicate"]
Outcome: TypeAlias = Literal["fetched", "unchanged", "failed"]
Extraction: TypeAlias = Literal["pending", "done", "failed", "skipped"]
FeedParser: TypeAlias = Literal["fast", "feedparser"]
PublishedFrom: TypeAlias = Literal["entry", "page", "first_seen"]

Facts: TypeAlias = Mapping[str, Any]
"""What a program can read of an advisory, by name: texts, numbers, lists of texts. See :mod:`digestd.feed.revision`."""
Changes: TypeAlias = Mapping[str, Any]
"""What is different in a newer version, by name: `[before, after]`; of a summary or content their characters."""

UNFINISHED_CLAIMS_LIMIT = 3
"""From this many claims in a row that were never recorded on, a source, or a page, is suspected of killing the
process."""


@dataclass(frozen=True, slots=True)
class SourceSpec:
    """What the operator configures of a source. `url` is kept as written, byte for byte; where its kind tells from the
    options where it is, `url` is what the kind says."""

    name: str
    kind: str
    url: str = field(repr=False)
    enabled: bool = True
    category: str | None = None
    language: str | None = None
    interval_seconds: float | None = None
    jitter_seconds: float | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Source:
    """A source as the store knows it: what was configured, and under which id it is kept."""

    id: int
    spec: SourceSpec
    origin: Origin = "file"
    effective_url: str | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def url(self) -> str:
        """The URL to ask: where permanent redirects lead, else what the operator wrote."""
        return self.effective_url or self.spec.url


@dataclass(frozen=True, slots=True)
class PollState:
    """What one poll leaves for the next: committed with the articles it covers, never before them.

    `etag` and `last_modified` are verbatim as received (RFC 9110, 8.8); `body_hash` is the sha256 of the last
    document taken whole; `cursor` is the same idea for APIs.
    """

    etag: str | None = None
    last_modified: str | None = None
    body_hash: str | None = None
    cursor: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source with everything the store remembers of its polls, for `digestd sources` and for first sleeps.

    `due_in_seconds` is by the database's clock: negative when overdue, None when it was never scheduled. `overridden`
    says that a command has the last word on whether it is enabled, and that its file says otherwise. `unchanged_polls`
    counts the polls since the last one that failed or brought entries.
    """

    source: Source
    state: State
    last_fetched_at: datetime | None = None
    last_success_at: datetime | None = None
    last_new_at: datetime | None = None
    next_fetch_at: datetime | None = None
    due_in_seconds: float | None = None
    schedule_reason: str | None = None
    consecutive_failures: int = 0
    unfinished_claims: int = 0
    last_error: str | None = None
    articles: int = 0
    entries_set_aside: int = 0
    overridden: bool = False
    unchanged_polls: int = 0

    @property
    def failing(self) -> bool:
        """Whether it is polled, and its last poll counted as a failure or it is suspected of crashing digestd. What is
        merely `degraded` is read and kept."""
        suspect = self.unfinished_claims >= UNFINISHED_CLAIMS_LIMIT
        return self.source.spec.enabled and (self.consecutive_failures > 0 or suspect)


@dataclass(frozen=True, slots=True)
class Fetch:
    """One poll of a source as the log of polls keeps it: one that failed, or brought entries.

    `seconds` is how long it took, `unchanged_before` how many polls before it brought nothing, `status` that of an HTTP
    answer that was a failure. The next poll was due `next_delay_seconds` later, for `schedule_reason`.
    """

    fetched_at: datetime
    outcome: Outcome
    status: int | None
    seconds: float
    body_bytes: int
    articles_new: int
    articles_updated: int
    unchanged_before: int
    schedule_reason: str
    next_delay_seconds: float
    error: str | None


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP answer read to its end: 2xx with its body decoded from its content coding, or 304 without one. Who asks
    an API gets answers of every other status, too.

    `headers` has lower-case names; repeated fields are joined with ", ". `url` is where redirects ended, `moved_to`
    where the permanent ones (301, 308) led before the first of another sort, None where none came first; neither has
    user info or a fragment.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    moved_to: str | None = None

    @property
    def not_modified(self) -> bool:
        return self.status == 304


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a document, as the document says it.

    `identity` is the whole sha256 (hex) of what the entry is recognised by: guid, else link, else normalised title
    and publication date, else title and content. Entries that are told apart only by more share it (see
    :mod:`digestd.feed.identity`). `content_hash` covers title, content, author and link, no dates, after a version
    byte. `summary` and `content` are sanitised HTML with absolute links; `title` and `author` are plain text.
    `published_at` is None where the document gives no date that can be understood. `complete` says that `content`
    carries the whole article, so that its page need not be fetched. `facts` are those of an advisory, None for what is
    none; they decide about no identity and are in no hash: what is news in them stands in the text, too.
    """

    identity: str
    content_hash: str
    guid: str | None = None
    link: str | None = None
    title: str = ""
    author: str | None = None
    language: str | None = None
    summary: str | None = None
    content: str | None = None
    published_at: datetime | None = None
    published_raw: str | None = None
    complete: bool = False
    facts: Facts | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An entry of a document that could not be read, and why; the others could.

    `key` (sha256, hex) tells it from others of its source; `guid` and `title` are as far as they could be read;
    `written` is what the document says of it, as JSON in ASCII, cut if it is very long.
    """

    key: str
    guid: str | None
    title: str
    reason: str
    written: str


@dataclass(frozen=True, slots=True)
class Hints:
    """What a publisher says of when to come back, and what its entries show.

    `cache_seconds` is how long the last answer may be cached, `ttl_seconds` how often the feed says that it is updated.
    `skip_hours` (0 to 23, GMT) and `skip_days` (0 is Monday) are to be left out. Entries come every `gap_seconds`, the
    last one at `newest_at`; None where that is not known.
    """

    cache_seconds: float | None = None
    ttl_seconds: float | None = None
    skip_hours: tuple[int, ...] = ()
    skip_days: tuple[int, ...] = ()
    gap_seconds: float | None = None
    newest_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """What a source served in one answer, read: its own title and language, its format, and its entries in order.

    `whole` is False where the document ended before its end came (a script that died, a connection closed early):
    there may be more entries than these, so nothing may be remembered that says the document was seen. `left_out` are
    the entries that could not be read. `older` is the URL of the page with the entries before these, where the document
    itself names one. `hints` are those that it states. `facts` are what else its kind has to know of it (a cursor, a
    total, the parts of a catalogue): small, and of JSON's types. `parser` says which of two read it, where it is an
    XML feed; they give the same.
    """

    url: str
    format: str
    title: str | None = None
    language: str | None = None
    entries: tuple[Entry, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    whole: bool = True
    older: str | None = None
    hints: Hints = Hints()
    facts: Mapping[str, Any] = field(default_factory=dict)
    parser: FeedParser | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Page:
    """What the page of an article says, read.

    `text` is the article's text, Markdown-like, never empty; `text_hash` (sha256, hex) is equal for pages that say the
    same to a reader, whatever times and tickets they print. `canonical_url` is where the page says it lives, else where
    redirects ended. `published_at` is the date that the page declares, None where it declares none; never a guess.
    """

    text: str
    text_hash: str
    canonical_url: str
    title: str | None = None
    author: str | None = None
    language: str | None = None
    published_at: datetime | None = None
    published_raw: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a poll failed: a stable word, a sentence for the operator, and how long the server wants us away."""

    cause: str
    message: str
    status: int | None = None
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one bounded piece of a poll brought.

    Exactly one of three: `failure` set; or `unchanged` (nothing new, `next_state` may hold fresher validators); or
    `documents` read whole. `more` asks for another step with `next_state`.

    What nobody but the store knows is which entries are new. With `overlaps`, some of these should be known: where none
    is, others have come and gone unseen. With `older`, the poll goes on from that state instead of `next_state` where
    none is known: there are entries before these to be had.

    `whole` says that the documents are all that the source serves now: what is not in them has left it.

    `hints` are those of the last document that was read whole, and of this answer.

    `effective_url` is the URL to ask from the next poll on: None for the same as before, empty for the configured one.

    `remark` is what the operator should know of a source that is well, in words.
    """

    next_state: PollState
    documents: tuple[Document, ...] = ()
    unchanged: bool = False
    failure: Failure | None = None
    more: bool = False
    body_bytes: int = 0
    whole: bool = False
    overlaps: bool = False
    older: PollState | None = None
    hints: Hints = Hints()
    effective_url: str | None = field(default=None, repr=False)
    remark: str | None = None

    @property
    def outcome(self) -> Outcome:
        if self.failure is not None:
            return "failed"
        return "unchanged" if self.unchanged else "fetched"


@dataclass(frozen=True, slots=True)
class Article:
    """What we keep of an entry, as people are shown it.

    `summary` and `content` are sanitised HTML from the feed; `text` is what extraction made of the article's page, None
    unless `extraction` is `done`. `extraction_error` says why it is not done; `next_extraction_at` when it is tried
    again, None for at once. `facts` are those of an advisory; `changes` is what the update at `updated_at` changed,
    None where there was none or nothing is known of it.
    """

    id: int
    source_name: str
    title: str
    url: str | None
    author: str | None
    language: str | None
    summary: str | None
    content: str | None
    published_at: datetime
    published_from: PublishedFrom
    fetched_at: datetime
    guid: str | None = None
    canonical_url: str | None = None
    text: str | None = None
    updated_at: datetime | None = None
    extraction: Extraction = "pending"
    extraction_attempts: int = 0
    extraction_error: str | None = None
    next_extraction_at: datetime | None = None
    facts: Facts | None = None
    changes: Changes | None = None


@dataclass(frozen=True, slots=True)
class ArticleVersion:
    """What an article said from `said_at` to `replaced_at`, before its update number `number` came, which made these
    `changes`. Numbers are missing where more versions were than are kept. Texts are cut where they are very long."""

    number: int
    said_at: datetime
    replaced_at: datetime
    title: str
    url: str | None
    author: str | None
    summary: str | None
    content: str | None
    facts: Facts | None
    changes: Changes
