"""What the pages say of sources, polls and articles, in words. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from digestd.digest.moments import distance
from digestd.feed.reasons import explained
from digestd.feed.text import collapse, strip_controls
from digestd.masking import mask_link, mask_url
from digestd.model import UNFINISHED_CLAIMS_LIMIT, Fetch, SourceStatus
from digestd.store.overview import Headline

LONGEST_ERROR = 240
"""Characters of an error in a list; the page of its source has all of it."""
LONGEST_NAME = 100
"""The same of a name."""
_LONGEST_LINE = 300
_LINKED = frozenset({"http", "https"})


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment: for programs, as people say it, and to the second."""

    stamp: str
    words: str
    exact: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The state of a source: a shape to be drawn, its word, and more words."""

    shape: str
    word: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A source in a list."""

    id: int
    name: str
    whole_name: str
    kind: str
    category: str | None
    mark: Mark
    last_success: Moment | None
    next_poll: Moment | None
    next_words: str
    why: str
    error: str | None


@dataclass(frozen=True, slots=True)
class ArticleRow:
    """An article in a list; `link` is None where it has none that may be followed."""

    title: str
    link: str | None
    source_id: int
    source: str
    published: Moment
    seen: Moment
    dated: bool


@dataclass(frozen=True, slots=True)
class PollRow:
    """A poll of a source."""

    at: Moment
    mark: Mark
    took: str
    size: str
    new: str
    updated: str
    quiet_before: str
    next_words: str
    error: str | None


def moment_of(moment: datetime | None, now: datetime) -> Moment | None:
    """How `moment` is told at `now`."""
    if moment is None:
        return None
    utc = moment.astimezone(UTC)
    exact = utc.strftime("%Y-%m-%d %H:%M:%S UTC")
    return Moment(utc.isoformat(timespec="seconds"), distance(moment, now), exact)


def mark_of(status: SourceStatus) -> Mark:
    """The state of a source as people see it."""
    if status.state == "removed":
        return Mark("ring", "removed", "it is not in the settings any more")
    if not status.source.spec.enabled:
        return Mark("ring", "disabled", "by a command" if status.overridden else "in the settings")
    if status.unfinished_claims >= UNFINISHED_CLAIMS_LIMIT:
        return Mark("cross", "suspect", "it may crash digestd")
    if status.failing:
        count = status.consecutive_failures
        more = "last poll failed" if count == 1 else f"{count:,} times in a row"
        return Mark("cross", "failing", more)
    return {
        "active": Mark("dot", "active", "" if status.last_fetched_at else "not polled yet"),
        "degraded": Mark("triangle", "degraded", "its answers look wrong"),
        "gone": Mark("square", "gone", "its server says so (410)"),
        "duplicate": Mark("pair", "duplicate", "another source has its URL"),
    }[status.state]


def source_row(status: SourceStatus, now: datetime) -> SourceRow:
    """`status` as a row of a list."""
    spec = status.source.spec
    is_polled = spec.enabled and status.state not in ("removed", "duplicate")
    reason = status.schedule_reason if is_polled else None
    return SourceRow(
        id=status.source.id,
        name=shortened(spec.name, LONGEST_NAME),
        whole_name=line(spec.name),
        kind=line(spec.kind),
        category=spec.category and shortened(spec.category, LONGEST_NAME),
        mark=mark_of(status),
        last_success=moment_of(status.last_success_at, now),
        next_poll=moment_of(status.next_fetch_at, now) if is_polled else None,
        next_words=_next_words(status, now) if is_polled else "not polled",
        why=line(explained(reason)) if reason else "",
        error=status.last_error and shortened(status.last_error, LONGEST_ERROR),
    )


def source_facts(status: SourceStatus, now: datetime) -> list[tuple[str, str | Moment]]:
    """What else is known of a source, as names and values."""
    spec = status.source.spec
    moved = status.source.effective_url
    facts: list[tuple[str, str | Moment | None]] = [
        ("Kind", line(spec.kind)),
        ("Category", spec.category and line(spec.category)),
        ("Language", spec.language and line(spec.language)),
        ("URL", line(mask_url(spec.url))),
        ("Moved to", moved and line(mask_url(moved))),
        ("Own interval", f"{spec.interval_seconds:,g} s" if spec.interval_seconds else None),
        ("Configured", "in a file" if status.source.origin == "file" else "by a command"),
        ("Last poll", moment_of(status.last_fetched_at, now) or "never"),
        ("Last success", moment_of(status.last_success_at, now) or "never"),
        ("Last new article", moment_of(status.last_new_at, now) or "never"),
    ]
    return [(name, value) for name, value in facts if value]


def article_row(headline: Headline, now: datetime) -> ArticleRow:
    """`headline` as a row of a list."""
    published, seen = moment_of(headline.published_at, now), moment_of(headline.fetched_at, now)
    assert published is not None
    assert seen is not None
    return ArticleRow(
        title=line(headline.title) or "(no title)",
        link=link_of(headline.url),
        source_id=headline.source_id,
        source=shortened(headline.source_name, LONGEST_NAME),
        published=published,
        seen=seen,
        dated=headline.published_from != "first_seen",
    )


def poll_row(fetch: Fetch, now: datetime) -> PollRow:
    """`fetch` as a row of a list."""
    at = moment_of(fetch.fetched_at, now)
    assert at is not None
    failed = fetch.outcome == "failed"
    return PollRow(
        at=at,
        mark=Mark(
            "cross" if failed else "dot", fetch.outcome, f"HTTP {fetch.status}" if fetch.status else ""
        ),
        took=f"{fetch.seconds:.2f} s",
        size=f"{fetch.body_bytes:,}",
        new=f"{fetch.articles_new:,}",
        updated=f"{fetch.articles_updated:,}",
        quiet_before=f"{fetch.unchanged_before:,}",
        next_words=f"{fetch.next_delay_seconds:,.0f} s later, {line(explained(fetch.schedule_reason))}",
        error=fetch.error and shortened(fetch.error, LONGEST_ERROR),
    )


def link_of(url: str | None) -> str | None:
    """`url` as it may be followed: `http` or `https`, with a host, without user info and secrets, and without a
    character that no URL holds. None for any other."""
    if url is None:
        return None
    masked = mask_link(strip_controls(url))
    try:
        parts = urlsplit(masked)
        allowed = parts.scheme in _LINKED and bool(parts.hostname)
    except ValueError:
        return None
    return masked if allowed and not any(character.isspace() for character in masked) else None


def line(text: str) -> str:
    """`text` on one line of bounded length."""
    return shortened(text, _LONGEST_LINE)


def shortened(text: str, longest: int) -> str:
    """The beginning of `text` on one line, without what no screen should be told."""
    shown = collapse(strip_controls(text[: 4 * longest]))
    return shown if len(shown) <= longest and len(text) <= 4 * longest else shown[:longest].rstrip() + "…"


def _next_words(status: SourceStatus, now: datetime) -> str:
    due = status.next_fetch_at
    if due is None or due <= now:
        return "due now"
    return distance(due, now)
