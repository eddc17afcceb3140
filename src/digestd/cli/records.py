"""What `--json` and `--csv` say of articles, entries set aside and sources: times in RFC 3339, URLs masked."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TypedDict

from digestd.cli.options import Format
from digestd.cli.revisions import revision_of
from digestd.cli.spreadsheet import csv_text
from digestd.cli.tables import stamp
from digestd.feed.health import Health
from digestd.masking import mask_guid, mask_url
from digestd.model import Article, Fetch, SourceStatus
from digestd.store import EntrySetAside


class ArticleRecord(TypedDict):
    """An article without its texts, of which `characters` is the length; `revision` is what its last update changed, in
    words."""

    id: int
    source: str
    title: str
    url: str | None
    canonical_url: str | None
    author: str | None
    language: str | None
    published_at: str | None
    published_from: str
    fetched_at: str | None
    updated_at: str | None
    extraction: str
    extraction_attempts: int
    extraction_error: str | None
    next_extraction_at: str | None
    characters: int | None
    revision: str | None


class SetAsideRecord(TypedDict):
    """An entry that could not become an article; `entry` is JSON."""

    source: str
    guid: str | None
    title: str
    reason: str
    entry: str
    first_seen_at: str | None
    last_seen_at: str | None


class SourceRecord(TypedDict):
    """A source and how its polls fare; `failing` is :attr:`digestd.model.SourceStatus.failing`, `health` one of
    :data:`digestd.feed.health.WORDS`."""

    name: str
    kind: str
    url: str
    category: str | None
    language: str | None
    origin: str
    enabled: bool
    overridden: bool
    state: str
    health: str
    health_reason: str
    failing: bool
    articles: int
    entries_set_aside: int
    last_fetched_at: str | None
    last_success_at: str | None
    last_new_at: str | None
    next_fetch_at: str | None
    schedule_reason: str | None
    consecutive_failures: int
    unfinished_claims: int
    last_error: str | None


def is_degraded(status: SourceStatus) -> bool:
    """Whether a source that is polled is in the state `degraded`, failing or not."""
    return status.source.spec.enabled and status.state == "degraded"


class FetchRecord(TypedDict):
    """A poll, see :class:`digestd.model.Fetch`."""

    fetched_at: str | None
    outcome: str
    status: int | None
    seconds: float
    body_bytes: int
    articles_new: int
    articles_updated: int
    unchanged_before: int
    schedule_reason: str
    next_delay_seconds: float
    error: str | None


def fetch_record(fetch: Fetch) -> FetchRecord:
    """Give `fetch` as a record."""
    return {
        "fetched_at": stamp(fetch.fetched_at),
        "outcome": fetch.outcome,
        "status": fetch.status,
        "seconds": round(fetch.seconds, 3),
        "body_bytes": fetch.body_bytes,
        "articles_new": fetch.articles_new,
        "articles_updated": fetch.articles_updated,
        "unchanged_before": fetch.unchanged_before,
        "schedule_reason": fetch.schedule_reason,
        "next_delay_seconds": fetch.next_delay_seconds,
        "error": fetch.error,
    }


def article_record(article: Article) -> ArticleRecord:
    """Give `article` as a record."""
    return {
        "id": article.id,
        "source": article.source_name,
        "title": article.title,
        "url": article.url and mask_url(article.url),
        "canonical_url": article.canonical_url and mask_url(article.canonical_url),
        "author": article.author,
        "language": article.language,
        "published_at": stamp(article.published_at),
        "published_from": article.published_from,
        "fetched_at": stamp(article.fetched_at),
        "updated_at": stamp(article.updated_at),
        "extraction": article.extraction,
        "extraction_attempts": article.extraction_attempts,
        "extraction_error": article.extraction_error,
        "next_extraction_at": stamp(article.next_extraction_at),
        "characters": len(article.text) if article.text is not None else None,
        "revision": revision_of(article),
    }


def set_aside_record(entry: EntrySetAside) -> SetAsideRecord:
    """Give `entry` as a record."""
    return {
        "source": entry.source_name,
        "guid": mask_guid(entry.guid),
        "title": entry.title,
        "reason": entry.reason,
        "entry": entry.entry,
        "first_seen_at": stamp(entry.first_seen_at),
        "last_seen_at": stamp(entry.last_seen_at),
    }


def source_record(status: SourceStatus, health: Health) -> SourceRecord:
    """Give `status`, and how its source does, as a record."""
    spec = status.source.spec
    return {
        "name": spec.name,
        "kind": spec.kind,
        "url": mask_url(spec.url),
        "category": spec.category,
        "language": spec.language,
        "origin": status.source.origin,
        "enabled": spec.enabled,
        "overridden": status.overridden,
        "state": status.state,
        "health": health.word,
        "health_reason": health.reason,
        "failing": status.failing,
        "articles": status.articles,
        "entries_set_aside": status.entries_set_aside,
        "last_fetched_at": stamp(status.last_fetched_at),
        "last_success_at": stamp(status.last_success_at),
        "last_new_at": stamp(status.last_new_at),
        "next_fetch_at": stamp(status.next_fetch_at),
        "schedule_reason": status.schedule_reason,
        "consecutive_failures": status.consecutive_failures,
        "unfinished_claims": status.unfinished_claims,
        "last_error": status.last_error,
    }


def print_records(form: Format, shape: type, records: Sequence[Mapping[str, object]]) -> None:
    """Print `records`, which are of the typed dictionary `shape`, as `form` says: "csv", in UTF-8 whatever the locale,
    or "json"."""
    if form == "json":
        print(json.dumps(records, indent=2))
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", newline="")
    print(csv_text(tuple(shape.__annotations__), records), end="")
