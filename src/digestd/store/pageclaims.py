"""PURE: how an article goes through the queue of extraction. Every store decides by these functions.

A pending article is either ready (`next_extraction_at` is NULL) or waits for that moment: for the end of a lease, which
`extraction_owner` tells, or of a back-off.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from digestd.model import UNFINISHED_CLAIMS_LIMIT, Page
from digestd.store import SAME_TEXT_LIMIT, PageClaim, PageRecord
from digestd.store.text import storable

FAILED_CLAIMS_LIMIT = 10
"""From this many claims in a row that were never recorded on, an article's page is not fetched any more."""
_FIRST_PUT_OFF_SECONDS = 30
_LONGEST_SHOWN = 500

_READY: dict[str, Any] = {"next_extraction_at": None, "extraction_owner": None}

RETRIED: dict[str, Any] = _READY | {
    "extraction": "pending",
    "extraction_failures": 0,
    "extraction_unfinished": 0,
    "extraction_error": None,
}
"""The columns of an article that is put back into the queue."""

WITHOUT_LINK: dict[str, Any] = _READY | {
    "extraction": "skipped",
    "extraction_error": "the feed does not link to it any more",
}
"""The columns of an article that lost its link while it was pending."""

FROM_FEED = ("title", "author", "language", "published_at", "published_raw", "published_from")
"""The columns that a page fills where the feed does not; a page that is no article's shall not."""


class Candidate(NamedTuple):
    """An article that is ready. `published` is any value that sorts as the moments of publication do."""

    source_id: int
    published: Any
    article_id: int


def in_turn(candidates: Iterable[Candidate], per_source: int | None = None) -> list[Candidate]:
    """Give the order in which `candidates` are claimed: the newest of each source, then the second of each, and so on,
    up to `per_source`; among those, the newest first."""
    newest_first = sorted(candidates, key=lambda one: (one.published, one.article_id), reverse=True)
    given: Counter[int] = Counter()
    rounds: list[tuple[int, Candidate]] = []
    for candidate in newest_first:
        if per_source is None or given[candidate.source_id] < per_source:
            rounds.append((given[candidate.source_id], candidate))
        given[candidate.source_id] += 1
    return [candidate for _, candidate in sorted(rounds, key=lambda one: one[0])]


def when_due(owner: str | None, unfinished: int, now: datetime) -> Mapping[str, Any]:
    """Give the columns of an article whose moment has come.

    It becomes ready; but if its moment was the end of a lease that nothing was recorded under (`owner` is still there),
    and `unfinished` such claims have ended so, it is put off instead: for 30 seconds from the third on, doubled each
    time. After the tenth it is `failed`.
    """
    if owner is None or unfinished < UNFINISHED_CLAIMS_LIMIT:
        return _READY
    error = f"{unfinished} attempts in a row never ended: its page may be crashing digestd"
    if unfinished >= FAILED_CLAIMS_LIMIT:
        return _READY | {"extraction": "failed", "extraction_error": error}
    seconds = _FIRST_PUT_OFF_SECONDS * 2 ** (unfinished - UNFINISHED_CLAIMS_LIMIT)
    return _READY | {"next_extraction_at": now + timedelta(seconds=seconds), "extraction_error": error}


def unreadable(cause: str) -> Mapping[str, Any]:
    """Give the columns of an article whose row cannot be claimed for `cause`."""
    error = f"its row in the table articles cannot be read or claimed: {cause}"
    return _READY | {"extraction": "failed", "extraction_error": storable(error[:_LONGEST_SHOWN])}


def leased(owner: str, now: datetime, lease_seconds: float) -> Mapping[str, Any]:
    """Give the columns, beside the two counts of claims, of an article that `owner` claims."""
    return {"extraction_owner": owner, "next_extraction_at": now + timedelta(seconds=lease_seconds)}


def page_claim(row: Mapping[str, Any]) -> PageClaim:
    """Give the claim of the article `row`, as it stood before, with its `source_name`; it has a link."""
    return PageClaim(
        article_id=row["id"],
        source_id=row["source_id"],
        source_name=row["source_name"],
        url=row["url"],
        title=row["title"],
        feed_html=max(row["content"] or "", row["summary"] or "", key=len),
        dated=row["published_from"] == "entry",
        attempt=row["extraction_attempts"] + 1,
        failures=row["extraction_failures"],
        unfinished=row["extraction_unfinished"],
    )


def recorded(record: PageRecord, row: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Give the columns that `record` changes of the article `row`."""
    waits = record.extraction == "pending"
    changes: dict[str, Any] = {
        "extraction": record.extraction,
        "extraction_failures": record.failures,
        "extraction_unfinished": 0,
        "extraction_owner": None,
        "next_extraction_at": now + timedelta(seconds=record.next_delay_seconds) if waits else None,
        "extraction_error": storable(record.error),
    }
    return changes if record.page is None else changes | _of_page(record.page, row, now)


def _of_page(page: Page, row: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    changes = {
        "text": storable(page.text),
        "text_hash": storable(page.text_hash),
        "canonical_url": storable(page.canonical_url),
        # Of a link on a page, or in a sitemap, nothing but its URL may be known.
        "title": row["title"] or storable(page.title) or "",
        "author": row["author"] or storable(page.author),
        "language": row["language"] or storable(page.language),
    }
    published_at = _publication(page, now)
    if published_at is None or row["published_from"] != "first_seen":
        return changes
    dates = {"published_at": published_at, "published_raw": storable(page.published_raw)}
    return changes | dates | {"published_from": "page"}


def _publication(page: Page, now: datetime) -> datetime | None:
    if page.published_at is None:
        return None
    try:
        published_at = page.published_at.astimezone(UTC)
    except OverflowError:
        return None
    return None if published_at > now else published_at


def same_text(pages: int) -> Mapping[str, Any] | None:
    """Give the columns of articles of one source whose pages, `pages` in number, say the same; None where they may.

    The hash stays, so that the next page that says it is recognised at once.
    """
    if pages < SAME_TEXT_LIMIT:
        return None
    error = f"{pages} pages of this source give the same text: a login wall, or what shows without scripts"
    return {"extraction": "failed", "text": None, "extraction_error": error}
